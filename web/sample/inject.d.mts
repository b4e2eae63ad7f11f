export function withData(html: string, json: string): string;
export function dataOf(html: string): unknown;
