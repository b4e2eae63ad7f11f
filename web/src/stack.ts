// The stacks of a model with several, as the names of its parts tell them: "image.L3.ffn_up".

/** "image", "text", or "" for a model with one. */
export const stackOf = (name: string): string => /^(image|text)\./.exec(name)?.[1] ?? "";

/** Stacks in the order in which they come. */
export const stacksOf = (names: string[]): string[] => [...new Set(names.map(stackOf))];
