// What accuracy does not tell: a sentence per model and dimension, then diagrams and curves with full precision beside.

import * as Plot from "@observablehq/plot";
import { figure, plotStyle, tipStyle, type Frame } from "../chart";
import type { ConfidenceClaim, ConfidenceDiagram, Reliability, ReliabilityDimension, ReliabilityRow, Report } from "../data";
import { el, p, section, strong } from "../dom";
import { isNumber, number, share, tick } from "../format";
import { table, type Column } from "../table";

const COLOURS = ["var(--reference)", "var(--plan)", "var(--uniform)", "#a05195", "#d45087", "#7a9a01", "#8a6d3b"];
const SYMBOLS = ["square", "circle", "diamond2", "triangle", "star", "cross", "wye"] as const;

interface Point {
  model: string;
  condition: string;
  level: number;
  value: number;
  low: number;
  high: number;
}

/** What the levels of a dimension are. */
interface Axis {
  title: string;
  summary: string;
  label: string;
  level?: (value: number) => string; // as people write it; a number where absent
}
const SEVERITIES: Axis = {
  title: "Accuracy by severity, %.",
  summary: "From the mildest to the strongest.",
  label: "severity →",
};
const AXES: Record<string, Axis> = {
  attacks: {
    title: "Accuracy under attack, %.",
    summary: "By the largest change of a value; what is fooled in a small ball is fooled in a greater one.",
    label: "radius →",
    level: (radius) => `${number(255 * radius)}/255`, // steps of a channel of 8 bits
  },
  features: {
    title: "Accuracy by the first directions of the features, %.",
    summary: "How many of the original's singular directions the answers need.",
    label: "directions →",
  },
};

const shown = (row: ReliabilityRow, value: unknown) => (row.unit === "share" ? share(value) : number(value));

/** Every model's value of these rows. */
function points(rows: ReliabilityRow[], models: string[]): Point[] {
  return rows.flatMap((row) =>
    row.models.flatMap((own, m) =>
      isNumber(own.value) && isNumber(row.level)
        ? [
            {
              model: models[m]!,
              condition: row.name,
              level: row.level,
              value: own.value,
              low: own.interval[0] ?? own.value,
              high: own.interval[1] ?? own.value,
            },
          ]
        : [],
    ),
  );
}

const scales = (models: string[]) => ({
  color: { domain: models, range: models.map((_, m) => COLOURS[m % COLOURS.length]!), legend: false },
  symbol: { domain: models, range: models.map((_, m) => SYMBOLS[m % SYMBOLS.length]!) },
});

function legend(models: string[]): HTMLElement {
  const keys = models.map((model, m) =>
    el(
      "span",
      null,
      el("span", { class: "key circle", style: `--key:${COLOURS[m % COLOURS.length]}`, "aria-hidden": true }),
      model,
    ),
  );
  return el("p", { class: "legend" }, ...keys);
}

/** The levels themselves where they are few: severities and radii lie at no numbers in between. */
function ticksOf(all: Point[]): number[] | number {
  const levels = [...new Set(all.map((point) => point.level))].sort((a, b) => a - b);
  return levels.length <= 5 ? levels : 5;
}

const axisOf = (dimension: ReliabilityDimension): Axis => AXES[dimension.key] ?? SEVERITIES;

/** One small chart per condition: accuracy over severity or radius. */
function curves({ title, summary, label, level = tick }: Axis, all: Point[], models: string[]): HTMLElement {
  const conditions = [...new Set(all.map((point) => point.condition))];
  return figure(title, summary, ({ width }: Frame) => {
    const columns = Math.max(1, Math.min(4, Math.floor(width / 210)));
    const place = (point: Point) => conditions.indexOf(point.condition);
    const fx = (point: Point) => place(point) % columns;
    const fy = (point: Point) => Math.floor(place(point) / columns);
    return Plot.plot({
      width,
      height: 150 * Math.ceil(conditions.length / columns) + 40,
      marginLeft: 38,
      marginBottom: 36,
      style: plotStyle,
      ...scales(models),
      fx: { axis: null, padding: 0.12 },
      fy: { axis: null, padding: 0.25 },
      x: { label, ticks: ticksOf(all), tickFormat: level },
      y: { label: null, domain: [0, 1], tickFormat: (v: number) => `${Math.round(100 * v)}`, ticks: 4, grid: true },
      marks: [
        Plot.text(conditions, {
          fx: (_: string, i: number) => i % columns,
          fy: (_: string, i: number) => Math.floor(i / columns),
          text: (condition: string) => condition,
          frameAnchor: "top-left",
          dy: -13,
        }),
        Plot.ruleX(all, { fx, fy, x: "level", y1: "low", y2: "high", stroke: "model", strokeOpacity: 0.45 }),
        Plot.line(all, { fx, fy, x: "level", y: "value", stroke: "model", z: "model", className: "mark-curves" }),
        Plot.dot(all, { fx, fy, x: "level", y: "value", fill: "model", symbol: "model", r: 3 }),
        Plot.tip(
          all,
          Plot.pointer({
            ...tipStyle(width),
            fx,
            fy,
            x: "level",
            y: "value",
            title: (point: Point) =>
              `${point.condition}, ${level(point.level)}\n${point.model}: ${share(point.value)}\n95%: ${share(point.low)} to ${share(point.high)}`,
          }),
        ),
      ],
    });
  });
}

/** Accuracy over confidence, a panel per model: bars below the diagonal are over-confident. */
function diagrams(all: ConfidenceDiagram[]): HTMLElement {
  const bins = all.flatMap(({ model, bins }) =>
    bins.filter((bin) => bin.examples > 0).map((bin) => ({ ...bin, model })),
  );
  const models = all.map((own) => own.model);
  return figure(
    "Reliability diagrams.",
    "Accuracy within each bin of confidence; on the diagonal a model is as sure as it is right, below it surer.",
    ({ width }: Frame) => {
      const columns = Math.max(1, Math.min(models.length, Math.floor(width / 230)));
      const fx = (bin: { model: string }) => models.indexOf(bin.model) % columns;
      const fy = (bin: { model: string }) => Math.floor(models.indexOf(bin.model) / columns);
      return Plot.plot({
        width,
        height: 210 * Math.ceil(models.length / columns) + 40,
        marginLeft: 38,
        marginBottom: 36,
        style: plotStyle,
        fx: { axis: null, padding: 0.12 },
        fy: { axis: null, padding: 0.2 },
        x: { label: "confidence, % →", domain: [0, 1], tickFormat: (v: number) => `${Math.round(100 * v)}`, ticks: 5 },
        y: { label: null, domain: [0, 1], tickFormat: (v: number) => `${Math.round(100 * v)}`, ticks: 5, grid: true },
        marks: [
          Plot.text(models, {
            fx: (_: string, i: number) => i % columns,
            fy: (_: string, i: number) => Math.floor(i / columns),
            text: (model: string) => model,
            frameAnchor: "top-left",
            dy: -13,
          }),
          Plot.rect(bins, {
            fx,
            fy,
            x1: "low",
            x2: "high",
            y1: 0,
            y2: "accuracy",
            fill: "var(--plan)",
            fillOpacity: 0.55,
            inset: 0.5,
            className: "mark-bins",
          }),
          Plot.line(
            models.flatMap((model) => [
              { model, at: 0 },
              { model, at: 1 },
            ]),
            { fx, fy, x: "at", y: "at", z: "model", stroke: "var(--rule-strong)", strokeDasharray: "3,3" },
          ),
          Plot.tip(
            bins,
            Plot.pointerX({
              ...tipStyle(width),
              fx,
              fy,
              x: "confidence",
              y: "accuracy",
              title: (bin) =>
                `${bin.model}\nconfidence ${share(bin.confidence)}\naccuracy ${share(bin.accuracy)}\n${bin.examples} examples`,
            }),
          ),
        ],
      });
    },
  );
}

const MARKS = { better: " ▲", worse: " ▼", undecided: "" } as const;

/** All rows that stand for themselves; the arrows say what is decided. */
function figures(dimension: ReliabilityDimension, models: string[]): HTMLElement {
  const rows = dimension.rows.filter((row) => !row.detail && row.group === "");
  const level = axisOf(dimension).level ?? tick;
  const columns = models.map((model, m): Column<ReliabilityRow> => {
    const value = (row: ReliabilityRow) => row.models[m]?.value ?? null;
    return {
      head: model,
      numeric: true,
      cell: (row) => {
        const own = row.models[m];
        const [low, high] = own?.interval ?? [null, null];
        const said = `${shown(row, value(row))}${MARKS[own?.comparison ?? "undecided"]}`;
        return isNumber(low) && isNumber(high)
          ? el("span", null, said, el("small", { class: "muted" }, ` ${shown(row, low)} to ${shown(row, high)}`))
          : said;
      },
      key: value,
    };
  });
  const conditionColumn: Column<ReliabilityRow> = {
    head: "Of",
    cell: (row) => row.condition,
    key: (row) => row.condition,
  };
  const levelColumn: Column<ReliabilityRow> = {
    head: "Level",
    numeric: true,
    cell: (row) => (isNumber(row.level) ? level(row.level) : ""),
    key: (row) => row.level,
  };
  return table<ReliabilityRow>(
    dimension.name,
    [
      { head: "Figure", cell: (row) => row.name, key: (row) => row.name },
      ...(rows.some((row) => row.condition !== "") ? [conditionColumn] : []),
      ...(rows.some((row) => isNumber(row.level)) ? [levelColumn] : []),
      ...columns,
    ],
    rows,
    { tall: rows.length > 16 },
  ).element;
}

function charts(dimension: ReliabilityDimension, models: string[]): HTMLElement[] {
  const levels = points(
    dimension.rows.filter((row) => row.group === "" && row.unit === "share" && row.key === "accuracy"),
    models,
  );
  const drawn: HTMLElement[] = [];
  if (dimension.diagrams.length > 0) drawn.push(diagrams(dimension.diagrams));
  if (levels.length > 0) {
    drawn.push(legend(models), curves(axisOf(dimension), levels, models));
  }
  return drawn;
}

const percents = (value: unknown) => (isNumber(value) ? `${value < 0 ? "−" : "+"}${share(Math.abs(value))}` : "");

/** The claim, its verdict, and the cases that decide it. */
function claimOf(claim: ConfidenceClaim): HTMLElement[] {
  const told = claim.cases.filter((one) => one.original !== "undecided" && one.calibration !== "undecided");
  return [
    el("p", { class: "claim" }, `“${claim.claim}”: `, strong(`${claim.verdict}.`), ` Here, ${claim.reason}.`),
    ...(told.length === 0
      ? []
      : [
          el(
            "details",
            null,
            el("summary", null, told.length === 1 ? "One decided case" : `${told.length} decided cases`),
            ...told.map((one) =>
              p(
                `${one.model}${one.group === "" ? "" : `, ${one.group}`}: the original is ${one.original} `,
                `(${percents(one.confidence_less_accuracy)}), calibration ${one.calibration} `,
                `(${percents(one.change)}, ${percents(one.change_interval[0])} to ${percents(one.change_interval[1])})`,
              ),
            ),
          ),
        ]),
  ];
}

function dimensionOf(dimension: ReliabilityDimension, { models }: Reliability): HTMLElement {
  return el(
    "div",
    { class: "dimension", id: `reliability-${dimension.key}` },
    el("h3", null, dimension.name),
    ...(dimension.claim ? claimOf(dimension.claim) : []),
    el(
      "ul",
      null,
      ...dimension.summary.map(({ model, text }) =>
        el("li", null, strong(`${model}: `), text.replace(`${model}: `, "")),
      ),
    ),
    ...charts(dimension, models),
    figures(dimension, models),
    ...dimension.notes.map((note) => el("p", { class: "muted" }, note)),
  );
}

export function reliability(report: Report): HTMLElement | null {
  const data = report.reliability;
  if (!data || data.dimensions.length === 0) return null;
  const headlines = data.dimensions.flatMap(({ headline }) => (headline ? [headline] : []));
  return section(
    "reliability",
    "Can it be relied on?",
    p(
      `Beyond accuracy, on ${data.data.name}: each model beside “${data.models[0]}” on the same examples. `,
      "▲ better and ▼ worse where the 95% interval of the paired difference leaves out 0; everything else is undecided.",
    ),
    ...(headlines.length === 0 ? [] : [el("ul", { class: "headlines" }, ...headlines.map((said) => el("li", null, said)))]),
    ...data.dimensions.map((dimension) => dimensionOf(dimension, data)),
  );
}
