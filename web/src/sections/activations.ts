// What flows through the model: a map of sites and layers, the distribution of any of them, and what rounding them costs.

import * as Plot from "@observablehq/plot";
import {
  activationsSentence,
  cellsOf,
  quantitiesOf,
  siteName,
  type Activations,
  type Cache,
  type Cell,
  type Grid,
  type LocalErrors,
  type OutlierFeature,
  type Quantity,
} from "../activations";
import { figure, logAxis, logDomain, logTicks, plotStyle, tipStyle, type Frame } from "../chart";
import { ramp } from "../colour";
import type { Report } from "../data";
import { el, p, section } from "../dom";
import { count, isNumber, measured, number, share, tick } from "../format";
import { layerGrid } from "../layer_grid";
import { table } from "../table";
import { natsPer } from "../unit";

function select(label: string, options: [string, string][], onChange: (key: string) => void): HTMLSelectElement {
  const element = el(
    "select",
    { "aria-label": label },
    ...options.map(([key, text]) => el("option", { value: key }, text)),
  );
  element.addEventListener("change", () => onChange(element.value));
  return element;
}

/** A map that draws what is chosen; a click on a cell chooses it. */
function siteMap(cells: Cell[], quantity: Quantity, choose: (cell: Cell) => void): HTMLElement {
  const values = cells.map(quantity.value).filter((v): v is number => isNumber(v) && v > 0);
  const high = Math.max(...values, 1e-12);
  const low = Math.min(...values, high / 10);
  const position = (v: number) => (v <= low ? 0 : Math.log(v / low) / Math.log(high / low));
  const shown = cells.filter((c) => isNumber(quantity.value(c)));
  const rows = [...new Set(cells.map((c) => c.site))];
  const layers = [...new Set(cells.map((c) => c.layer))].sort((a, b) => a - b);
  const scaleBar = el("div", { class: "ramp" });
  const draw = ({ width, dark }: Frame) => {
    const colours = ramp("damage", dark);
    scaleBar.style.background = colours.css;
    const { frame } = layerGrid({ layers, rows, width, marginLeft: 104, cellHeight: 20, widestCell: 68 });
    const plot = Plot.plot({
      ...frame,
      y: { type: "band", domain: rows, label: null, tickSize: 0, paddingInner: 0.06, paddingOuter: 0, tickFormat: siteName },
      marks: [
        Plot.cell(shown, {
          x: "layer",
          y: "site",
          fill: (c: Cell) => colours.at(position(quantity.value(c)!)),
          className: "mark-activation-cells",
        }),
        Plot.tip(
          shown,
          Plot.pointer({
            ...tipStyle(width),
            x: "layer",
            y: "site",
            maxRadius: 60,
            title: (c: Cell) => `${siteName(c.site)}, layer ${c.layer}\n${quantity.title} ${number(quantity.value(c))}`,
          }),
        ),
      ],
    });
    // What the pointer is at is the value of the plot.
    plot.addEventListener("click", () => plot.value && choose(plot.value as Cell));
    return plot;
  };
  const ticks = logTicks(low, high);
  const every = Math.ceil(ticks.length / 5);
  const legend = el(
    "div",
    {
      class: "ramp-legend",
      role: "img",
      "aria-label": `Colour scale: ${quantity.title} from ${number(low)} to ${number(high)}, logarithmic`,
    },
    el("span", null, quantity.title),
    el(
      "div",
      { class: "ramp-box" },
      scaleBar,
      ...ticks
        .filter((_, i) => i % every === 0)
        .map((t) => el("span", { class: "ramp-tick", style: `left:${(100 * position(t)).toFixed(2)}%` }, tick(t))),
    ),
  );
  return figure("Sites by layer.", "Log colour scale. Press a cell for its distribution.", draw, legend);
}

function distribution(cell: Cell, input: string): HTMLElement {
  const { histogram, ...f } = cell.figures;
  const total = f.values ?? 1;
  const bins = histogram.counts.map((n, i) => ({
    from: 2 ** ((histogram.first_half_octave + i) / 2),
    to: 2 ** ((histogram.first_half_octave + i + 1) / 2),
    share: n / total,
  }));
  const filled = bins.filter((bin) => bin.share > 0);
  const domain = logDomain(filled.map((bin) => bin.share), 2) ?? [1e-6, 1];
  const marks = [
    { at: f.median_abs, name: "median" },
    { at: f.p99_99, name: "99.99%" },
    { at: f.abs_max, name: "largest" },
  ].filter((mark) => isNumber(mark.at) && mark.at > 0);
  const draw = ({ width }: Frame) =>
    Plot.plot({
      width,
      height: 260,
      marginLeft: 52,
      marginRight: 20,
      marginTop: 26,
      marginBottom: 40,
      style: plotStyle,
      x: {
        type: "log",
        domain: [2 ** -12 * Math.max(f.median_abs ?? 1, 1e-9), 1.4 * Math.max(f.abs_max ?? 1, 1e-9)],
        label: "magnitude →",
        tickFormat: tick,
        ticks: 6,
        clamp: true,
      },
      y: logAxis([domain[0], Math.min(domain[1], 1)], "↑ share of values"),
      marks: [
        Plot.rect(filled, {
          x1: "from",
          x2: "to",
          y1: domain[0],
          y2: "share",
          inset: 0.5,
          fill: "var(--mark)",
          className: "mark-activation-bars",
        }),
        Plot.ruleX(marks, { x: "at", stroke: "var(--ink)", strokeDasharray: "3,3" }),
        Plot.text(marks, { x: "at", text: "name", frameAnchor: "top", dy: -14, fontSize: 11 }),
      ],
    });
  const first = f.massive.largest[0];
  return el(
    "div",
    null,
    figure(
      `${siteName(cell.site)}, layer ${cell.layer}.`,
      `Magnitudes in half octaves; ${count(f.values)} values of ${count(f.channels)} channels.`,
      draw,
    ),
    p(
      `Largest ${number(f.abs_max)}${input === "image" ? "" : ` (${number(f.abs_max_after_first)} without the first token)`}, median ${number(f.median_abs)}, kurtosis ${number(f.kurtosis)}; `,
      `${count(f.channels_from_6)} channels reach 6. `,
      first
        ? `${count(f.massive.count)} values beyond 100 times the median, in ${count(f.massive.windows)} ${input}s; the largest, ${number(first.value)}, in channel ${first.channel}` +
            (first.position >= 0 ? ` at position ${first.position}.` : ".")
        : "No value is beyond 100 times the median.",
    ),
  );
}

function chosenCells(activations: Activations, cells: Cell[]): HTMLElement {
  const quantities = quantitiesOf(activations);
  const shown = el("div");
  const map = el("div");
  const sites = [...new Set(cells.map((c) => c.site))];
  const layers = [...new Set(cells.map((c) => c.layer))].sort((a, b) => a - b);
  const largest = cells.reduce((a, b) => ((a.figures.abs_max ?? 0) >= (b.figures.abs_max ?? 0) ? a : b));
  const show = () => {
    const cell = cells.find((c) => c.site === site.value && c.layer === Number(layer.value));
    shown.replaceChildren(cell ? distribution(cell, inputOf(activations)) : p("This layer has no such site."));
  };
  const site = select("Site", sites.map((s) => [s, siteName(s)]), show);
  const layer = select("Layer", layers.map((l) => [String(l), `layer ${l}`]), show);
  const choose = (cell: Cell) => {
    site.value = cell.site;
    layer.value = String(cell.layer);
    show();
  };
  const drawMap = (key: string) => map.replaceChildren(siteMap(cells, quantities.find((q) => q.key === key)!, choose));
  const quantity = select("What the map shows", quantities.map((q) => [q.key, q.title]), drawMap);
  drawMap(quantities[0]!.key);
  choose(largest);
  return el(
    "div",
    { class: "activation-cells" },
    el("div", { class: "filter" }, "The map shows ", quantity),
    map,
    el("div", { class: "filter" }, "Distribution of ", site, layer),
    shown,
  );
}

const inputOf = (study: Activations) => study.inputs ?? "window";

function gridTable(grids: Grid[]): HTMLElement {
  const sites = [...new Set(grids.flatMap((g) => Object.keys(g.alone)))];
  return table<Grid>(
    `KL in ${natsPer()} when the inputs of matrices are rounded, each site alone in all layers, and all at once`,
    [
      { head: "Grid", cell: (g) => g.grid, key: (g) => g.grid },
      ...sites.map((site) => ({
        head: siteName(site),
        numeric: true,
        cell: (g: Grid) => measured(g.alone[site]?.kl_nats, g.alone[site]?.kl_nats_stderr),
        key: (g: Grid) => g.alone[site]?.kl_nats ?? null,
      })),
      { head: "All", numeric: true, cell: (g) => measured(g.kl_nats, g.kl_nats_stderr), key: (g) => g.kl_nats },
    ],
    grids,
  ).element;
}

function cacheTable(caches: Cache[]): HTMLElement {
  return table<Cache>(
    "KL in nats per token by the format of the attention cache",
    [
      { head: "Format", cell: (c) => c.format, key: (c) => c.format },
      { head: "Keys", numeric: true, cell: (c) => measured(c.keys_kl_nats, c.keys_kl_nats_stderr), key: (c) => c.keys_kl_nats },
      { head: "Values", numeric: true, cell: (c) => measured(c.values_kl_nats, c.values_kl_nats_stderr), key: (c) => c.values_kl_nats },
      { head: "Both", numeric: true, cell: (c) => measured(c.both_kl_nats, c.both_kl_nats_stderr), key: (c) => c.both_kl_nats },
    ],
    caches,
    { narrow: true },
  ).element;
}

/** Of each grid the site and layer where rounding is worst, with what makes the error up. */
function worstTable(grids: Grid[]): HTMLElement {
  type Row = { grid: string; site: string; errors: LocalErrors };
  const rows = grids.flatMap((g): Row[] => {
    const sorted = Object.entries(g.local).sort((a, b) => (a[1].sqnr_db ?? 1e9) - (b[1].sqnr_db ?? 1e9));
    return sorted.slice(0, 3).map(([site, errors]) => ({ grid: g.grid, site, errors }));
  });
  const column = (head: string, hint: string, key: keyof LocalErrors, cell: (v: unknown) => string) => ({
    head,
    hint,
    numeric: true,
    cell: (r: Row) => cell(r.errors[key]),
    key: (r: Row) => r.errors[key],
  });
  return table<Row>(
    "Where errors are largest beside the values: the three sites of each grid with the least SQNR",
    [
      { head: "Grid", cell: (r) => r.grid, key: (r) => r.grid },
      { head: "Site", cell: (r) => r.site, key: (r) => r.site },
      column("SQNR, dB", "Signal to quantization noise", "sqnr_db", number),
      column("Cosine", "Between exact and rounded values", "cosine", (v) => number(v, 4)),
      column("Bias", "Mean error over the root mean square", "bias", number),
      column("KL of histograms", "Nats; by half octaves and signs", "histogram_kl", number),
      column("Clipped", "Values beyond the range", "clipped_share", (v) => share(v)),
      column("To zero", "Values that are rounded to 0", "dead_share", (v) => share(v)),
      column("Error by clipping", "Share of the square error", "clip_error_share", (v) => share(v)),
      column("Error by zeros", "Share of the square error", "dead_error_share", (v) => share(v)),
    ],
    rows,
  ).element;
}

const GRID_COLOURS = ["var(--mark)", "var(--plan)", "var(--uniform)", "var(--reference)", "#a05195", "#7a9a01"];

function growth(grids: Grid[]): HTMLElement | null {
  const points = grids.flatMap((g) =>
    g.growth.map((value, layer) => ({ grid: g.grid, layer, value })).filter((d) => isNumber(d.value) && d.value > 0),
  );
  const domain = logDomain(points.map((d) => d.value as number));
  if (!domain) return null;
  const draw = ({ width }: Frame) =>
    Plot.plot({
      width,
      height: 260,
      marginLeft: 52,
      marginRight: 110,
      marginTop: 26,
      marginBottom: 40,
      style: plotStyle,
      x: { label: "layer →", ticks: 8, tickFormat: (v: number) => (Number.isInteger(v) ? String(v) : "") },
      y: logAxis(domain, "↑ square error over square"),
      color: { domain: grids.map((g) => g.grid), range: GRID_COLOURS },
      marks: [
        Plot.line(points, { x: "layer", y: "value", z: "grid", stroke: "grid", className: "mark-growth" }),
        Plot.text(
          points,
          Plot.selectLast({ x: "layer", y: "value", z: "grid", text: "grid", textAnchor: "start", dx: 6, fontSize: 11 }),
        ),
        Plot.tip(
          points,
          Plot.pointer({
            ...tipStyle(width),
            x: "layer",
            y: "value",
            title: (d: (typeof points)[number]) => `${d.grid}, after layer ${d.layer}\n${number(d.value)}`,
          }),
        ),
      ],
    });
  return figure("Error of the residual stream.", "All sites rounded: how it grows through the layers.", draw);
}

// Where values are of the size of 6 anyway, as in a residual stream, most channels are features: those that stand out most
// are shown, and not of one site alone.
const SHOWN_FEATURES = 20;
const SHOWN_OF_A_SITE = 6;
const overMedian = (f: OutlierFeature): number => (isNumber(f.ratio_to_median) ? f.ratio_to_median : 0);

function features(all: OutlierFeature[], rowsName: string): HTMLElement {
  const taken = new Map<string, number>();
  const isShown = ({ site }: OutlierFeature) => {
    const before = taken.get(site) ?? 0;
    taken.set(site, before + 1);
    return before < SHOWN_OF_A_SITE;
  };
  const rows =
    all.length <= SHOWN_FEATURES
      ? all
      : [...all]
          .sort((a, b) => overMedian(b) - overMedian(a))
          .filter(isShown)
          .slice(0, SHOWN_FEATURES);
  const which =
    rows.length < all.length
      ? `; of ${count(all.length)} those furthest over the median, ${SHOWN_OF_A_SITE} of a site at most`
      : "";
  return table<OutlierFeature>(
    `Outlier features: magnitudes of 6 and more in a quarter of the layers and 6% of the ${rowsName}${which}`,
    [
      { head: "Site", cell: (r) => siteName(r.site), key: (r) => r.site },
      { head: "Channel", numeric: true, cell: (r) => String(r.channel), key: (r) => r.channel },
      { head: "Layers", numeric: true, cell: (r) => share(r.layer_share), key: (r) => r.layer_share },
      { head: rowsName === "tokens" ? "Tokens" : "Rows", numeric: true, cell: (r) => share(r.token_share), key: (r) => r.token_share },
      { head: "Largest", numeric: true, cell: (r) => number(r.abs_max), key: (r) => r.abs_max },
      { head: "Over the median", numeric: true, cell: (r) => number(r.ratio_to_median), key: (r) => r.ratio_to_median },
    ],
    rows,
    { narrow: true },
  ).element;
}

export function activations(report: Report): HTMLElement | null {
  const study = report.activations;
  if (!study) return null;
  const cells = cellsOf(study);
  const ofImages = inputOf(study) === "image";
  const rows = ofImages ? "rows" : "tokens";
  const sinks = study.facts.first_token_share.filter((s) => isNumber(s.mean));
  const most = sinks.reduce<(typeof sinks)[number] | null>((a, b) => (a && a.mean! >= b.mean! ? a : b), null);
  return section(
    "activations",
    "What flows through",
    p(
      `Magnitudes over ${count(study.facts.tokens)} ${rows} of ${study.facts.data.name}${ofImages ? ", a row for each patch and learned token" : ""}; errors on ${count(study.windows)} ${inputOf(study)}s of ${study.data.name}. `,
      activationsSentence(study),
      most ? ` At most ${share(most.mean)} of the attention lies on the first token, in layer ${most.layer}.` : "",
    ),
    cells.length > 0 && chosenCells(study, cells),
    study.facts.outlier_features.length > 0 && features(study.facts.outlier_features, rows),
    study.grids.length > 0 && gridTable(study.grids),
    study.grids.length > 0 && worstTable(study.grids),
    study.grids.length > 0 && growth(study.grids),
    study.caches.length > 0 && cacheTable(study.caches),
  );
}
