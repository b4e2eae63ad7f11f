// Who pays: damage per language, domain or any other label.

import * as Plot from "@observablehq/plot";
import { figure, plotStyle, tipStyle, type Frame } from "../chart";
import { KIND_COLOUR } from "../colour";
import type { GroupRow, Num, Report } from "../data";
import { disclosure, el, p, section, strong } from "../dom";
import { bytes, count, isNumber, measured, number, tick } from "../format";
import { metricColumns } from "../metrics";
import { table, type Column } from "../table";
import { listed } from "../who_pays";
import { natsPer, ofImages, units } from "../unit";

interface Panel {
  title: string;
  summary: string;
  axis: string;
  value: (row: GroupRow) => Num;
  error: (row: GroupRow) => Num;
}

const panelsOf = (): Panel[] => [
  {
    title: ofImages() ? "KL per image." : "KL per token.",
    summary: "How far the answers drift.",
    axis: `${natsPer()} →`,
    value: (r) => r.kl_nats,
    error: (r) => r.kl_nats_stderr,
  },
  {
    title: "ΔNLL per document.",
    summary: "What a whole document costs more; fair across languages, whose tokens differ in length.",
    axis: "nats per document →",
    value: (r) => r.delta_nll_nats_per_document,
    error: (r) => r.delta_nll_nats_per_document_stderr,
  },
];

const SYMBOLS = ["diamond2", "circle", "square", "triangle", "star", "cross"] as const;

/** A look per plan: its kind's colour where the results name it, then shape to tell apart. */
function looks(report: Report, plans: string[]): Map<string, { colour: string; symbol: (typeof SYMBOLS)[number] }> {
  const kinds = new Map(report.results?.rows.map((r) => [r.label, r.kind]));
  return new Map(
    plans.map((plan, i) => [
      plan,
      { colour: KIND_COLOUR[kinds.get(plan) ?? (i === 0 ? "plan" : "uniform")], symbol: SYMBOLS[i % SYMBOLS.length]! },
    ]),
  );
}

/** Those whose KL two errors of the difference do not tell from the first's. */
function notToldFrom(rows: GroupRow[]): GroupRow[] {
  const [first, ...others] = rows as [GroupRow, ...GroupRow[]];
  return others.filter((row) => {
    const error = Math.hypot(first.kl_nats_stderr ?? Infinity, row.kl_nats_stderr ?? Infinity);
    return !(Math.abs(first.kl_nats! - row.kl_nats!) > 2 * error);
  });
}

/** Who drifts most and least, named only as far as their errors tell them from the others. */
function extremes(plan: string, rows: GroupRow[]): HTMLElement | null {
  const worst = rows[0],
    least = rows[rows.length - 1];
  if (!worst || !least || worst === least) return null;
  const named = (row: GroupRow, close: GroupRow[]) => [
    strong(row.group),
    ` (KL ${measured(row.kl_nats, row.kl_nats_stderr)}`,
    close.length > 3
      ? `, which errors do not tell from ${close.length} others)`
      : close.length > 0
        ? `, which errors do not tell from ${listed(close.map((r) => r.group))})`
        : ")",
  ];
  return p(
    `With “${plan}”, most drifts `,
    ...named(worst, notToldFrom(rows)),
    ", least ",
    ...named(least, notToldFrom([...rows].reverse())),
    ".",
  );
}

export function groups(report: Report): HTMLElement | null {
  const rows = report.groups?.rows ?? [];
  if (rows.length === 0) return null;
  const kinds = new Map(report.results?.rows.map((r) => [r.label, r.kind]));
  const plans = [...new Set(rows.map((r) => r.plan))].sort(
    (a, b) => Number(kinds.get(b) === "plan") - Number(kinds.get(a) === "plan"),
  );
  const look = looks(report, plans);
  const first = rows.filter((r) => r.plan === plans[0]);
  const names = [
    ...new Set(
      [...first, ...rows]
        .sort(
          (a, b) => Number(b.plan === plans[0]) - Number(a.plan === plans[0]) || (b.kl_nats ?? -1) - (a.kl_nats ?? -1),
        )
        .map((r) => r.group),
    ),
  ];
  const height = names.length * 22 + 52;
  const longest = Math.max(...names.map((name) => name.length));
  const marginLeft = Math.min(Math.max(44, longest * 7 + 14), 150);
  const shorten = (name: string) => (name.length > 19 ? `${name.slice(0, 18)}…` : name);
  const base = { height, marginLeft, marginRight: 18, marginTop: 10, marginBottom: 40, style: plotStyle };
  const y = { type: "band" as const, domain: names, label: null, tickSize: 0, tickFormat: shorten, grid: true };
  const offset = (row: GroupRow) => (plans.indexOf(row.plan) - (plans.length - 1) / 2) * Math.min(6, 14 / plans.length);

  const hasData = ({ value }: Panel) => rows.some((r) => isNumber(value(r)));
  const panel = ({ title, summary, axis, value, error }: Panel) => {
    const drawn = rows.filter((r) => isNumber(value(r)));
    const bar = (r: GroupRow) => 2 * (isNumber(error(r)) ? (error(r) as number) : 0);
    return figure(title, summary, ({ width }: Frame) =>
      Plot.plot({
        ...base,
        width,
        x: { label: axis, ticks: width < 380 ? 4 : 6, tickFormat: tick, grid: true, insetRight: 6 },
        y,
        marks: [
          Plot.ruleX([0], { stroke: "var(--rule-strong)" }),
          plans.map((plan) => {
            const own = drawn.filter((r) => r.plan === plan);
            const dy = own[0] ? offset(own[0]) : 0;
            const { colour, symbol } = look.get(plan)!;
            return [
              Plot.ruleY(own, {
                y: "group",
                x1: (r: GroupRow) => value(r)! - bar(r),
                x2: (r: GroupRow) => value(r)! + bar(r),
                dy,
                stroke: colour,
                strokeWidth: 1.5,
                className: "mark-group-error-bars",
              }),
              Plot.dot(own, {
                y: "group",
                x: (r: GroupRow) => value(r),
                dy,
                r: symbol === "diamond2" ? 4.8 : 4,
                symbol,
                fill: colour,
                stroke: "var(--paper)",
                strokeWidth: 0.75,
                className: "mark-groups",
              }),
            ];
          }),
          Plot.tip(
            drawn,
            Plot.pointerY({
              ...tipStyle(width),
              y: "group",
              x: (r: GroupRow) => value(r),
              title: (r: GroupRow) =>
                `${r.group}, ${r.plan}\n${measured(value(r), error(r))} ${axis.replace(" →", "")}\n${units(count(r.tokens))}`,
            }),
          ),
        ],
      }),
    );
  };

  const reference = names
    .map((name) => rows.find((r) => r.group === name && isNumber(r.reference_nll_bits_per_byte)))
    .filter((r): r is GroupRow => r !== undefined);
  const referencePanel = figure(
    "The original, bits per byte.",
    "How well the unquantized model knows each group; lower is better.",
    ({ width }: Frame) =>
      Plot.plot({
        ...base,
        width,
        x: {
          label: "bits per byte →",
          ticks: width < 380 ? 4 : 6,
          tickFormat: tick,
          grid: true,
          domain: [0, 1.08 * Math.max(...reference.map((r) => r.reference_nll_bits_per_byte!))],
        },
        y,
        marks: [
          Plot.ruleY(reference, {
            y: "group",
            x1: 0,
            x2: "reference_nll_bits_per_byte",
            stroke: "var(--reference)",
            strokeOpacity: 0.5,
          }),
          Plot.dot(reference, {
            y: "group",
            x: "reference_nll_bits_per_byte",
            r: 4,
            symbol: "square",
            fill: "var(--reference)",
            className: "mark-reference-groups",
          }),
          Plot.tip(
            reference,
            Plot.pointerY({
              ...tipStyle(width),
              y: "group",
              x: "reference_nll_bits_per_byte",
              title: (r: GroupRow) => `${r.group}\n${number(r.reference_nll_bits_per_byte)} bits per byte`,
            }),
          ),
        ],
      }),
  );

  const legend = el(
    "p",
    { class: "legend" },
    ...plans.map((plan) =>
      el(
        "span",
        null,
        el("span", {
          class: `key ${look.get(plan)!.symbol.replace("2", "")}`,
          style: `--key:${look.get(plan)!.colour}`,
          "aria-hidden": true,
        }),
        plan,
      ),
    ),
    el("span", { class: "muted" }, `sorted by the KL of ${plans[0]}; bars are ± 2 standard errors`),
  );

  const measuredRows = first.filter((r) => isNumber(r.kl_nats)).sort((a, b) => b.kl_nats! - a.kl_nats!);
  const tokens: Column<GroupRow> = {
    head: ofImages() ? "Images" : "Tokens",
    numeric: true,
    cell: (r) => count(r.tokens),
    key: (r) => r.tokens,
  };
  const sizes: Column<GroupRow>[] = ofImages()
    ? [tokens]
    : [
        { head: "Documents", numeric: true, cell: (r) => count(r.documents), key: (r) => r.documents },
        tokens,
        { head: "Text", numeric: true, cell: (r) => bytes(r.bytes), key: (r) => r.bytes },
      ];
  const view = () =>
    table<GroupRow>(
      "Damage per group",
      [
        { head: "Group", cell: (r) => r.group, key: (r) => r.group },
        { head: "Model", cell: (r) => r.plan, key: (r) => r.plan },
        ...sizes,
        ...metricColumns<GroupRow>(report.groups?.metrics),
      ],
      rows,
      { tall: true },
    ).element;
  return section(
    "groups",
    "Drift by group",
    extremes(plans[0]!, measuredRows),
    legend,
    el("div", { class: "multiples" }, ...panelsOf().filter(hasData).map(panel), reference.length > 0 && referencePanel),
    disclosure(`All ${rows.length} rows as a table`, view),
  );
}
