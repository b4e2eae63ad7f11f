// Activations: the part of report.json that `vernier activations` makes, and what the page says of it.

import type { Num } from "./data";
import { isNumber, number } from "./format";
import { natsPer } from "./unit";

export interface Activations {
  inputs?: string; // "window" of text, "image", or "prompt" of CLIP's text tower
  data: { name: string; hash: string };
  windows: Num; // or images, or prompts
  facts: {
    data: { name: string; hash: string };
    windows: Num;
    tokens: Num;
    sites: Record<string, SiteFigures>; // "L3.ffn_input"
    outlier_features: OutlierFeature[];
    first_token_share: { layer: number; mean: Num; heads: Num[] }[];
  };
  grids: Grid[];
  caches: Cache[];
}

export interface SiteFigures {
  values: Num;
  kurtosis: Num;
  median_abs: Num;
  p99: Num;
  p99_9: Num;
  p99_99: Num;
  abs_max: Num;
  abs_max_after_first: Num;
  channels: Num;
  channels_from_6: Num;
  peaks: { channel: number; abs_max: Num }[];
  massive: {
    count: Num;
    windows: Num;
    largest: { window: number; position: number; channel: number; value: Num }[];
  };
  histogram: { first_half_octave: number; counts: number[] }; // by magnitude, from 2^(first/2)
}

export interface OutlierFeature {
  site: string;
  channel: number;
  layer_share: Num;
  token_share: Num;
  abs_max: Num;
  ratio_to_median: Num;
}

export interface LocalErrors {
  mse: Num;
  sqnr_db: Num;
  cosine: Num;
  bias: Num;
  histogram_kl: Num;
  clipped_share: Num;
  dead_share: Num;
  clip_error_share: Num;
  dead_error_share: Num;
}

export interface Grid {
  grid: string;
  kl_nats: Num;
  kl_nats_stderr: Num;
  alone: Record<string, { kl_nats: Num; kl_nats_stderr: Num }>;
  growth: Num[]; // by layer
  local: Record<string, LocalErrors>;
}

export interface Cache {
  format: string;
  keys_kl_nats: Num;
  keys_kl_nats_stderr: Num;
  values_kl_nats: Num;
  values_kl_nats_stderr: Num;
  both_kl_nats: Num;
  both_kl_nats_stderr: Num;
  local: Record<string, LocalErrors>;
}

/** A site of a layer. */
export interface Cell {
  site: string;
  layer: number;
  figures: SiteFigures;
}

const SITES: [string, string][] = [
  ["attn_input", "q, k, v in"],
  ["attn_output_input", "attn output in"],
  ["ffn_input", "gate, up in"],
  ["ffn_down_input", "down in"],
  ["shared_down_input", "shared down in"],
  ["residual", "residual"],
  ["keys", "keys"],
  ["values", "values"],
];
export const siteName = (site: string) => SITES.find(([key]) => key === site)?.[1] ?? site.replaceAll("_", " ");

/** Of the layers, in the order of the rows of a map. */
export function cellsOf(activations: Activations): Cell[] {
  const rank = (site: string) => {
    const at = SITES.findIndex(([key]) => key === site);
    return at < 0 ? SITES.length : at;
  };
  return Object.entries(activations.facts.sites)
    .flatMap(([name, figures]) => {
      const parts = /^L(\d+)\.(\w+)$/.exec(name);
      return parts ? [{ site: parts[2]!, layer: Number(parts[1]), figures }] : [];
    })
    .sort((a, b) => rank(a.site) - rank(b.site) || a.layer - b.layer);
}

/** What a map can show of a cell; null where there is nothing. */
export interface Quantity {
  key: string;
  title: string;
  value: (cell: Cell) => Num;
}

export function quantitiesOf({ grids, caches }: Activations): Quantity[] {
  const nameOf = (cell: Cell) => `L${cell.layer}.${cell.site}`;
  const local = (name: string, of: Record<string, LocalErrors>): Quantity[] => [
    {
      key: `noise ${name}`,
      title: `noise to signal in ${name}`,
      value: (cell) => {
        const db = of[nameOf(cell)]?.sqnr_db;
        return isNumber(db) ? 10 ** (-db / 10) : null;
      },
    },
  ];
  return [
    { key: "absmax", title: "largest magnitude", value: (cell) => cell.figures.abs_max },
    {
      key: "ratio",
      title: "largest over median magnitude",
      value: ({ figures: f }) => (isNumber(f.abs_max) && f.median_abs ? f.abs_max / f.median_abs : null),
    },
    { key: "kurtosis", title: "kurtosis", value: (cell) => cell.figures.kurtosis },
    ...grids.flatMap((g) => local(g.grid, g.local)),
    ...caches.flatMap((c) => local(`${c.format} cache`, c.local)),
  ];
}

/** One sentence for somebody who reads nothing else. */
export function activationsSentence(activations: Activations): string {
  const cells = cellsOf(activations).filter((c) => c.site !== "residual" && isNumber(c.figures.abs_max));
  const largest = cells.reduce<Cell | null>(
    (a, b) => (a && (a.figures.abs_max ?? 0) >= (b.figures.abs_max ?? 0) ? a : b),
    null,
  );
  const said = largest
    ? `The largest input of a matrix is ${number(largest.figures.abs_max)}, at ${siteName(largest.site)} of layer ${largest.layer}. `
    : "";
  const worst = activations.grids
    .map((grid) => {
      const [site, own] = Object.entries(grid.alone).reduce<[string, { kl_nats: Num }]>(
        (a, b) => ((a[1].kl_nats ?? -1) >= (b[1].kl_nats ?? -1) ? a : b),
        ["", { kl_nats: null }],
      );
      return { grid, site, kl: own.kl_nats };
    })
    .filter((w) => isNumber(w.kl));
  return (
    said +
    worst
      .map(({ grid, site, kl }) => `${grid.grid}: ${number(grid.kl_nats)} ${natsPer()}, ${siteName(site)} alone ${number(kl)}.`)
      .join(" ")
  );
}
