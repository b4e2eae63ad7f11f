// The few statistics that the charts draw.

/** Linear interpolation between order statistics; `sorted` ascending and not empty. */
export function quantile(sorted: number[], q: number): number {
  const position = (sorted.length - 1) * q;
  const i = Math.floor(position);
  return sorted[i]! + (position - i) * ((sorted[i + 1] ?? sorted[i]!) - sorted[i]!);
}

export interface Box {
  low: number;
  q1: number;
  median: number;
  q3: number;
  high: number;
}

/** Tukey's box: the whiskers end at the last value within 1.5 interquartile ranges. */
export function box(values: number[]): Box {
  const sorted = [...values].sort((a, b) => a - b);
  const q1 = quantile(sorted, 0.25);
  const q3 = quantile(sorted, 0.75);
  const reach = 1.5 * (q3 - q1);
  return {
    low: sorted.find((v) => v >= q1 - reach)!,
    q1,
    median: quantile(sorted, 0.5),
    q3,
    high: sorted.filter((v) => v <= q3 + reach).pop()!,
  };
}

/** Counts in `bins` equal bins of log10 over `domain`. */
export function logHistogram(values: number[], domain: [number, number], bins: number) {
  const low = Math.log10(domain[0]);
  const step = (Math.log10(domain[1]) - low) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const v of values) {
    const i = Math.min(Math.max(Math.floor((Math.log10(v) - low) / step), 0), bins - 1);
    counts[i] = counts[i]! + 1;
  }
  return counts.map((n, i) => ({ from: 10 ** (low + i * step), to: 10 ** (low + (i + 1) * step), count: n }));
}
