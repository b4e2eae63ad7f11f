// Colour ramps that are monotone in lightness (so they survive colour blindness and grey printing) and always run away
// from the background: more is darker on light paper and brighter on dark.

type Rgb = [number, number, number];

const RAMPS = {
  damage: {
    light: ["#fdf6d8", "#fed9a0", "#fcae7c", "#f37b63", "#d94d6c", "#ab337c", "#7a2382", "#4a1677", "#1d1147"],
    dark: ["#2c1b52", "#4f1d7b", "#7d2582", "#b0367b", "#de4f69", "#f7765c", "#fca578", "#fed39a", "#fdf8cf"],
  },
  // Less and more than expected: the middle is the background, both ends run away from it.
  difference: {
    light: ["#10457e", "#3f7fbd", "#8fbbe0", "#dbe7f0", "#f7f5f2", "#f4dfd0", "#eaa883", "#c9603f", "#84220f"],
    dark: ["#9fd0ff", "#5f9fdb", "#376a9c", "#27415c", "#22242b", "#54352a", "#9a5236", "#df8560", "#ffd2b8"],
  },
  bits: {
    light: ["#eef6dc", "#c9e6c4", "#8ecfbf", "#4fb0c3", "#2f86b9", "#2558a3", "#152c6d"],
    dark: ["#1f2d60", "#24519c", "#2a7ab2", "#40a3bd", "#7cc6bb", "#bfe0bd", "#f3fadd"],
  },
};

const parse = (hex: string): Rgb => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as Rgb;

export interface Ramp {
  /** Colour at t in [0, 1]; outside is clamped. */
  at: (t: number) => string;
  /** A CSS gradient over the whole ramp. */
  css: string;
}

export function ramp(name: keyof typeof RAMPS, dark: boolean): Ramp {
  const stops = RAMPS[name][dark ? "dark" : "light"].map(parse);
  const at = (t: number) => {
    const position = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
    const i = Math.min(Math.floor(position), stops.length - 2);
    const rgb = stops[i]!.map((low, c) => Math.round(low + (position - i) * (stops[i + 1]![c]! - low)));
    return `#${rgb.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
  };
  return { at, css: `linear-gradient(to right, ${RAMPS[name][dark ? "dark" : "light"].join(", ")})` };
}

/** Black or white, whichever reads better on `hex` (WCAG relative luminance). */
export function inkOn(hex: string): string {
  const [r, g, b] = parse(hex).map((c) =>
    c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
  ) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#111111" : "#ffffff";
}

export const KIND_COLOUR = { reference: "var(--reference)", uniform: "var(--uniform)", preset: "var(--reference)", plan: "var(--plan)" };
export const KIND_SYMBOL = { reference: "square", uniform: "circle", preset: "triangle", plan: "diamond2" } as const;
