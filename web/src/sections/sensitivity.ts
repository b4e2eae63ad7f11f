// Which parts of the model suffer when they alone are quantized: map, ranking, spread by kind.

import * as Plot from "@observablehq/plot";
import { figure, logAxis, logDomain, logTicks, plotStyle, tipStyle, type Frame } from "../chart";
import { ramp } from "../colour";
import type { Component, Diagnosis, Report, Spread } from "../data";
import { disclosure, el, p, section, strong } from "../dom";
import { count, isNumber, measured, number, share, tick } from "../format";
import { layerGrid } from "../layer_grid";
import { sharedCells, type Cell } from "../shared_cells";
import { stackOf, stacksOf } from "../stack";
import { box, logHistogram } from "../stats";
import { table } from "../table";
import { natsPer, ofImages, units } from "../unit";

type Drawn = Component & { kl_nats: number };

const KIND_ORDER = ["layer", "head", "kv_head", "ffn", "expert", "router", "tensor", "embed", "lm_head"];
const KIND_NAME: Record<string, string> = {
  layer: "whole layers",
  head: "heads",
  kv_head: "KV heads",
  ffn: "FFNs",
  expert: "experts",
  router: "routers",
  tensor: "tensors",
  embed: "embedding",
  lm_head: "output head",
};
const kindName = (kind: string) => KIND_NAME[kind] ?? kind;
const kindRank = (kind: string) => (KIND_ORDER.includes(kind) ? KIND_ORDER.indexOf(kind) : KIND_ORDER.length);

/** More experts than this share one row of the map: its labels would be unreadable. */
const EXPERT_ROWS = 16;

/** Experts of the layer with most of them. */
const expertCount = (components: Component[]) =>
  Math.max(0, ...components.filter((c) => c.kind === "expert").map((c) => c.index + 1));

function rowKey(c: Component, experts: number): string {
  switch (c.kind) {
    case "tensor":
      return `tensor/${c.tensor ?? c.index}`;
    case "ffn":
    case "layer":
    case "router":
      return c.kind;
    case "expert":
      return experts > EXPERT_ROWS ? c.kind : `expert/${c.index}`;
    default:
      return `${c.kind}/${c.index}`;
  }
}

function rowLabel(c: Component, experts: number): string {
  switch (c.kind) {
    case "layer":
      return "whole layer";
    case "ffn":
      return "FFN";
    case "router":
      return "router";
    case "tensor":
      return c.tensor ?? c.name;
    case "expert":
      return experts > EXPERT_ROWS ? "worst expert" : `expert ${c.index}`;
    default:
      return `${c.kind.replace("kv_head", "KV head")} ${c.index}`;
  }
}

function describe(c: Component): string {
  return [
    c.name,
    `KL ${measured(c.kl_nats, c.kl_nats_stderr)} ${natsPer()}`,
    ...(c.foretold
      ? ["foretold, not measured"]
      : [
          `ΔNLL ${measured(c.delta_nll_nats, c.delta_nll_nats_stderr)} nats`,
          `same ${ofImages() ? "class" : "first choice"} ${share(c.same_top_share)}`,
        ]),
    `${count(c.parameters)} parameters`,
  ].join("\n");
}

/** Of several that share a cell the worst gives the colour, and all are told. */
const worstOf = (cell: Cell<Drawn>) => cell.items.reduce((a, b) => (b.kl_nats > a.kl_nats ? b : a));

function describeCell(cell: Cell<Drawn>): string {
  const worst = worstOf(cell);
  if (cell.items.length === 1) return describe(worst);
  const least = cell.items.reduce((a, b) => (b.kl_nats < a.kl_nats ? b : a));
  return `${describe(worst)}\nthe worst of ${cell.items.length}; the least is ${least.name} with ${measured(least.kl_nats, least.kl_nats_stderr)}`;
}

const howKnown = (c: Component) => (c.foretold ? "foretold" : "measured");

/** Rows of the map from top to bottom, with an empty one between kinds. */
function mapRows(components: Drawn[], experts: number): { domain: string[]; labels: Map<string, string> } {
  const labels = new Map<string, string>();
  const domain: string[] = [];
  const sorted = [...components].sort(
    (a, b) => kindRank(a.kind) - kindRank(b.kind) || (a.kind === "tensor" ? 0 : a.index - b.index),
  );
  let previous: string | null = null;
  for (const c of sorted) {
    const key = rowKey(c, experts);
    if (labels.has(key)) continue;
    if (previous !== null && previous !== c.kind) domain.push(`gap/${c.kind}`);
    previous = c.kind;
    labels.set(key, rowLabel(c, experts));
    domain.push(key);
  }
  return { domain, labels };
}

function heatMap(all: Drawn[], noise: number, stack: string): HTMLElement {
  const components = all.filter((c) => stackOf(c.name) === stack);
  const inLayers = components.filter((c) => c.layer >= 0);
  const positive = inLayers.map((c) => c.kl_nats).filter((v) => v > 0);
  const high = Math.max(...positive, 1e-12);
  const low = Math.min(Math.max(Math.min(...positive, high), noise || 0), high / 10);
  const position = (v: number) => (v <= low ? 0 : Math.log(v / low) / Math.log(high / low));
  const floored = inLayers.some((c) => c.kl_nats < low);
  const outside = components.filter((c) => c.layer < 0);
  const experts = expertCount(inLayers);
  const { domain, labels } = mapRows(inLayers, experts);
  const cells = sharedCells(inLayers, (c) => rowKey(c, experts));
  const shared = cells.some((cell) => cell.items.length > 1);
  const layers = [...new Set(inLayers.map((c) => c.layer))].sort((a, b) => a - b);

  const scaleBar = el("div", { class: "ramp" });
  const draw = ({ width, dark }: Frame) => {
    const colours = ramp("damage", dark);
    scaleBar.style.background = colours.css;
    const marginLeft = 86;
    const cellHeight = domain.length <= 36 ? 17 : domain.length <= 72 ? 12 : 8;
    const { frame } = layerGrid({ layers, rows: domain, width, marginLeft, cellHeight, widestCell: 68 });
    return Plot.plot({
      ...frame,
      y: {
        type: "band",
        domain,
        label: null,
        tickSize: 0,
        paddingInner: 0.06,
        paddingOuter: 0,
        ticks: domain.filter((key, i) => labels.has(key) && (cellHeight > 10 || i % 2 === 0)),
        tickFormat: (key: string) => labels.get(key) ?? "",
      },
      marks: [
        Plot.cell(cells, {
          x: "layer",
          y: "row",
          fill: (cell: Cell<Drawn>) => colours.at(position(worstOf(cell).kl_nats)),
          className: "mark-sensitivity-cells",
        }),
        Plot.tip(
          cells,
          Plot.pointer({ ...tipStyle(width), x: "layer", y: "row", title: describeCell, maxRadius: 60 }),
        ),
      ],
    });
  };
  const ticks = logTicks(low, high);
  const legend = el(
    "div",
    {
      class: "ramp-legend",
      role: "img",
      "aria-label": `Colour scale: KL from ${number(low)} to ${number(high)} ${natsPer()}, logarithmic`,
    },
    el("span", null, `KL, ${natsPer()}`),
    el(
      "div",
      { class: "ramp-box" },
      scaleBar,
      ...ticks
        .filter((_, i) => ticks.length <= 5 || i % Math.ceil(ticks.length / 5) === 0)
        .map((t) => el("span", { class: "ramp-tick", style: `left:${(100 * position(t)).toFixed(2)}%` }, tick(t))),
    ),
  );
  return figure(
    `Damage by layer and component${stack ? `, of the ${stack} tower` : ""}.`,
    `Log colour scale${floored ? `; ${number(low)} and below share the first colour` : ""}. ${shared ? "A row of experts' matrices shows the worst of them. " : ""}Point at a cell for its numbers.`,
    draw,
    legend,
    outside.length > 0 &&
      el(
        "p",
        { class: "outside" },
        `Outside the layers: ${outside.map((c) => `${c.name} ${measured(c.kl_nats, c.kl_nats_stderr)}`).join(", ")}.`,
      ),
  );
}

function ranking(components: Drawn[]): HTMLElement {
  const inner = components.filter((c) => c.kind !== "layer");
  const top = [...inner].sort((a, b) => b.kl_nats - a.kl_nats).slice(0, 12);
  const view = table<Drawn>(
    `Most sensitive components${top.some((c) => c.foretold) ? "; ~ is foretold" : ""}`,
    [
      { head: "Component", cell: (c) => c.name },
      {
        head: `KL, ${natsPer()}`,
        numeric: true,
        cell: (c) => `${c.foretold ? "~ " : ""}${measured(c.kl_nats, c.kl_nats_stderr)}`,
      },
    ],
    top,
  );
  return view.element;
}

function byKind(components: Drawn[]): HTMLElement[] {
  const positive = components.filter((c) => c.kl_nats > 0);
  const kinds = [...new Set(positive.map((c) => c.kind))].sort((a, b) => kindRank(a) - kindRank(b));
  const domain = logDomain(positive.map((c) => c.kl_nats));
  if (!domain) return [];
  const boxes = kinds.map((kind) => ({ kind, ...box(positive.filter((c) => c.kind === kind).map((c) => c.kl_nats)) }));
  // A fixed jitter by golden ratio: the same picture every time.
  const jitter = new Map(positive.map((c, i) => [c, 0.9 * ((i * 0.618034) % 1) - 0.45]));
  const wide = boxes.filter((b) => b.q3 > b.q1);

  const drawBoxes = ({ width }: Frame) =>
    Plot.plot({
      width,
      height: kinds.length * 40 + 50,
      marginLeft: 92,
      marginRight: 12,
      marginTop: 8,
      marginBottom: 40,
      style: plotStyle,
      x: {
        ...logAxis(domain, `KL, ${natsPer()} →`),
        ...(width < 480 ? { ticks: logTicks(...domain).filter((_, i) => i % 2 === 0) } : {}),
      },
      y: { domain: [-1, 1], axis: null },
      fy: { domain: kinds, label: null, tickFormat: kindName, axis: "left", padding: 0.1 },
      marks: [
        Plot.ruleY(wide, { fy: "kind", y: 0, x1: "low", x2: "high", stroke: "var(--ink)", className: "mark-whiskers" }),
        Plot.rect(wide, {
          fy: "kind",
          x1: "q1",
          x2: "q3",
          insetTop: 8,
          insetBottom: 8,
          fill: "var(--mark)",
          fillOpacity: 0.28,
          className: "mark-boxes",
        }),
        Plot.dot(positive, {
          fy: "kind",
          x: "kl_nats",
          y: (c: Drawn) => jitter.get(c)!,
          r: positive.length > 400 ? 1.5 : 2.2,
          fill: "var(--mark)",
          fillOpacity: 0.75,
          className: "mark-components",
        }),
        Plot.tickX(boxes, {
          fy: "kind",
          x: "median",
          insetTop: 5,
          insetBottom: 5,
          stroke: "var(--ink)",
          strokeWidth: 2,
          className: "mark-medians",
        }),
        Plot.tip(
          positive,
          Plot.pointer({
            ...tipStyle(width),
            fy: "kind",
            x: "kl_nats",
            y: (c: Drawn) => jitter.get(c)!,
            title: describe,
          }),
        ),
      ],
    });

  const bins = 18;
  const histogram = kinds
    .filter(
      (kind) => boxes.find((b) => b.kind === kind)!.high > 0 && positive.filter((c) => c.kind === kind).length > 1,
    )
    .flatMap((kind) =>
      logHistogram(
        positive.filter((c) => c.kind === kind).map((c) => c.kl_nats),
        domain,
        bins,
      ).map((bin) => ({ kind, ...bin })),
    );
  const drawHistogram = ({ width }: Frame) =>
    Plot.plot({
      width,
      height: new Set(histogram.map((b) => b.kind)).size * 62 + 50,
      marginLeft: 92,
      marginRight: 28,
      marginTop: 8,
      marginBottom: 40,
      style: plotStyle,
      x: {
        ...logAxis(domain, `KL, ${natsPer()} →`),
        ...(width < 480 ? { ticks: logTicks(...domain).filter((_, i) => i % 2 === 0) } : {}),
      },
      y: { label: null, ticks: 2, axis: "right", tickSize: 0 },
      fy: {
        domain: [...new Set(histogram.map((b) => b.kind))],
        label: null,
        tickFormat: kindName,
        axis: "left",
        padding: 0.18,
      },
      marks: [
        Plot.rect(histogram, {
          fy: "kind",
          x1: "from",
          x2: "to",
          y1: 0,
          y2: "count",
          inset: 0.5,
          filter: (b: { count: number }) => b.count > 0,
          fill: "var(--mark)",
          className: "mark-histogram-bars",
        }),
        Plot.ruleY([0], { stroke: "var(--rule-strong)" }),
      ],
    });
  return [
    figure(
      "Spread within each kind.",
      "One dot per component; box: middle half; line: median; whiskers: within 1.5 box lengths.",
      drawBoxes,
    ),
    figure("How many components at which damage.", "Counts in equal steps of the logarithm.", drawHistogram),
  ];
}

function biasTable(rows: Spread[]): HTMLElement {
  const figureColumn = (head: string, hint: string, key: keyof Spread) => ({
    head,
    hint,
    numeric: true,
    cell: (r: Spread) => number(r[key]),
    key: (r: Spread) => r[key],
  });
  return table<Spread>(
    `Differential bias: how unevenly the damage (KL, ${natsPer()}) is spread among components of one kind`,
    [
      { head: "Kind", cell: (r) => kindName(r.kind) },
      { head: "Count", numeric: true, cell: (r) => count(r.count), key: (r) => r.count },
      figureColumn("Least", "Smallest KL", "min"),
      figureColumn("Most", "Largest KL", "max"),
      figureColumn("Range", "Most minus least", "range"),
      figureColumn("Mean", "Mean KL", "mean"),
      figureColumn("Deviation", "Standard deviation", "standard_deviation"),
      figureColumn(
        "Deviation / mean",
        "Coefficient of variation: 0 is even, above 1 is very uneven",
        "coefficient_of_variation",
      ),
    ],
    rows,
  ).element;
}

function allComponents(components: Component[]): HTMLElement {
  return table<Component>(
    "All components",
    [
      { head: "Component", cell: (c) => c.name, key: (c) => c.name },
      { head: "Kind", cell: (c) => c.kind, key: (c) => c.kind },
      {
        head: `KL, ${natsPer()}`,
        numeric: true,
        cell: (c) => measured(c.kl_nats, c.kl_nats_stderr),
        key: (c) => c.kl_nats,
      },
      ...(components.some((c) => c.foretold) ? [{ head: "Known by", cell: howKnown, key: howKnown }] : []),
      {
        head: "ΔNLL, nats",
        numeric: true,
        cell: (c) => measured(c.delta_nll_nats, c.delta_nll_nats_stderr),
        key: (c) => c.delta_nll_nats,
      },
      { head: ofImages() ? "Same class" : "Same first choice", numeric: true, cell: (c) => share(c.same_top_share), key: (c) => c.same_top_share },
      { head: "Parameters", numeric: true, cell: (c) => count(c.parameters), key: (c) => c.parameters },
    ],
    components,
    { tall: true },
  ).element;
}

function opening(diagnosis: Diagnosis, components: Drawn[]): HTMLElement {
  const worst = components
    .filter((c) => c.kind !== "layer")
    .reduce<Drawn | null>((a, b) => (a && a.kl_nats >= b.kl_nats ? a : b), null);
  const foretold = components.filter((c) => c.foretold).length;
  const control = diagnosis.control_kl_nats;
  const checks = [
    isNumber(control) && foretold < components.length
      ? `The control, which quantizes nothing, shows ${control === 0 ? "exactly 0, as it must" : `${number(control)} instead of 0`}`
      : "",
    isNumber(diagnosis.noise_floor_kl_nats)
      ? `the arithmetic's own noise floor is ${number(diagnosis.noise_floor_kl_nats)}`
      : "",
  ].filter(Boolean);
  const scope = ofImages()
    ? units(count(diagnosis.tokens))
    : `${units(count(diagnosis.tokens))} in ${count(diagnosis.windows)} windows`;
  return p(
    foretold === 0
      ? `Each component was quantized alone to ${diagnosis.scheme} while all others stayed as they were, over ${scope}. `
      : `What quantizing each component alone to ${diagnosis.scheme} would do was foretold from gradients over ${scope}` +
          (foretold < components.length ? `; ${components.length - foretold} of ${components.length} components were measured. ` : ". "),
    diagnosis.fallbacks?.length
      ? `Not all could take it: ${diagnosis.fallbacks.join("; ")}. `
      : "",
    worst ? `The most sensitive is ` : "",
    worst ? strong(worst.name) : "",
    worst ? ` with a KL of ${measured(worst.kl_nats, worst.kl_nats_stderr)} ${natsPer()}. ` : "",
    checks.length > 0 && `${checks.join("; ")}.`,
  );
}

export function sensitivity(report: Report): HTMLElement | null {
  const diagnosis = report.diagnosis;
  if (!diagnosis) return null;
  const components = diagnosis.components.filter((c): c is Drawn => isNumber(c.kl_nats));
  const hasMap = components.some((c) => c.layer >= 0);
  const stacks = stacksOf(components.map((c) => c.name));
  return section(
    "sensitivity",
    "Where it hurts",
    opening(diagnosis, components),
    hasMap
      ? el(
          "div",
          { class: "beside" },
          el("div", null, ...stacks.map((s) => heatMap(components, diagnosis.noise_floor_kl_nats ?? 0, s))),
          ranking(components),
        )
      : components.length > 0 && ranking(components),
    components.length > 0 && el("div", { class: "pair" }, ...byKind(components)),
    diagnosis.differential_bias.length > 0 && biasTable(diagnosis.differential_bias),
    components.length > 0 &&
      disclosure(`All ${diagnosis.components.length} components as a table`, () => allComponents(diagnosis.components)),
  );
}
