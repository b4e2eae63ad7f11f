// Bytes against KL: what each model pays for its size.

import * as Plot from "@observablehq/plot";
import { figure, logAxis, logDomain, plotStyle, tipStyle, type Frame } from "../chart";
import { KIND_COLOUR, KIND_SYMBOL } from "../colour";
import { budgetBytes, type FrontPoint, type Report, type ResultRow } from "../data";
import { el, section } from "../dom";
import { byteUnit, bytes, isNumber, measured } from "../format";
import { placeLabels } from "../labels";
import { natsPer } from "../unit";

type Drawn = ResultRow & { bytes: number; kl_nats: number };
type Foretold = FrontPoint & { bytes: number; predicted_kl_nats: number };

/** The least KL reached by uniform models of at most each size, as a staircase. */
function staircase(rows: Drawn[]): Drawn[] {
  const uniform = rows.filter((r) => r.kind === "uniform").sort((a, b) => a.bytes - b.bytes);
  return uniform.filter((r, i) => uniform.slice(0, i).every((smaller) => smaller.kl_nats > r.kl_nats));
}

/** Beside its point: the legend says what is uniform, the table what stands in for a scheme. */
const shortLabel = (row: { label: string }) =>
  row.label.replace(/^uniform (gguf:)?/, "").replace(/, \d+ of \d+ as .*$/, "*");

export function frontier(report: Report): HTMLElement | null {
  const drawn = (report.results?.rows ?? []).filter(
    (r): r is Drawn => r.kind !== "reference" && isNumber(r.bytes) && isNumber(r.kl_nats) && r.kl_nats > 0,
  );
  if (drawn.length === 0) return null;
  const budget = budgetBytes(report);
  const unit = byteUnit(Math.max(...drawn.map((r) => r.bytes)));
  const size = (r: { bytes: number }) => r.bytes / unit.size;
  const error = (r: Drawn) => 2 * (isNumber(r.kl_nats_stderr) ? r.kl_nats_stderr : 0);
  const low = (r: Drawn) => Math.max(r.kl_nats - error(r), r.kl_nats / 4); // a bar to 0 has no end on a log scale
  // As far as the chart reaches: a budget of twice the bytes would push everything measured into a corner.
  const [smallest, largest] = [Math.min(...drawn.map((r) => r.bytes)), Math.max(...drawn.map((r) => r.bytes))];
  const limit = (report.limit?.curve ?? []).filter(
    (l): l is { bytes: number; kl_nats: number } =>
      isNumber(l.bytes) &&
      isNumber(l.kl_nats) &&
      l.kl_nats > 0 &&
      l.bytes >= smallest * 0.94 &&
      l.bytes <= Math.max(largest, budget ?? 0) * 1.06,
  );
  // At large sizes the limit lies far below all files: a line that leaves the chart says so as well.
  const floor = Math.min(...drawn.map(low)) / 30;
  const domain = logDomain(
    [...drawn.flatMap((r) => [low(r), r.kl_nats + error(r)]), ...limit.map((l) => Math.max(l.kl_nats, floor))],
    1.4,
  )!;
  const front = (report.front ?? []).filter(
    (f): f is Foretold =>
      isNumber(f.bytes) &&
      isNumber(f.predicted_kl_nats) &&
      f.predicted_kl_nats >= domain[0] &&
      f.predicted_kl_nats <= domain[1] &&
      f.bytes >= smallest * 0.94 &&
      f.bytes <= Math.max(largest, budget ?? 0) * 1.06,
  );

  const draw = ({ width }: Frame) => {
    const sizes = [...drawn.map(size), ...(isNumber(budget) ? [budget / unit.size] : [])];
    const air = (Math.max(...sizes) - Math.min(...sizes) || Math.max(...sizes)) * 0.06;
    const x = [Math.min(...sizes) - air, Math.max(...sizes) + air];
    const narrow = width < 560;
    const options: Plot.PlotOptions = {
      width,
      height: narrow ? 360 : 420,
      marginLeft: 48,
      marginRight: 16,
      marginTop: 30,
      marginBottom: 42,
      style: plotStyle,
      x: { domain: x, label: `file size, ${unit.name} →`, ticks: narrow ? 4 : 8 },
      y: logAxis(domain, `↑ KL, ${natsPer()}`),
    };
    const scales = Plot.plot(options);
    const [px, py] = [scales.scale("x")!, scales.scale("y")!];
    // The plan is labelled first, so that it gets the best place.
    const ordered = [...drawn].sort(
      (a, b) => Number(b.kind === "plan") - Number(a.kind === "plan") || a.kl_nats - b.kl_nats,
    );
    const labels = placeLabels(
      ordered.map((r) => ({
        x: px.apply(size(r)),
        y: py.apply(r.kl_nats),
        text: shortLabel(r),
        above: r.kind === "uniform",
      })),
      width,
    );
    const steps = staircase(drawn);
    return Plot.plot({
      ...options,
      marks: [
        isNumber(budget)
          ? [
              Plot.rect([0], {
                x1: budget / unit.size,
                x2: x[1],
                y1: domain[0],
                y2: domain[1],
                fill: "var(--shade)",
                className: "mark-over-budget",
              }),
              Plot.ruleX([budget / unit.size], { stroke: "var(--muted)", strokeDasharray: "4 3" }),
              Plot.text([budget / unit.size], {
                x: (d: number) => d,
                frameAnchor: "top",
                text: [`budget ${bytes(budget)}`],
                dy: -16,
                textAnchor: budget / unit.size > (x[0]! + x[1]!) / 2 ? "end" : "start",
                fill: "var(--muted)",
              }),
            ]
          : null,
        Plot.line([...steps, { bytes: x[1]! * unit.size, kl_nats: steps[steps.length - 1]?.kl_nats ?? domain[0] }], {
          filter: () => steps.length > 1,
          x: size,
          y: "kl_nats",
          curve: "step-after",
          stroke: KIND_COLOUR.uniform,
          strokeOpacity: 0.45,
        }),
        Plot.line(front, {
          filter: () => front.length > 1,
          x: size,
          y: "predicted_kl_nats",
          stroke: KIND_COLOUR.plan,
          strokeOpacity: 0.6,
          strokeDasharray: "2 3",
          clip: true,
          className: "mark-front",
        }),
        Plot.line(limit, {
          filter: () => limit.length > 1,
          x: size,
          y: "kl_nats",
          stroke: "var(--muted)",
          strokeWidth: 1.5,
          clip: true,
          className: "mark-limit",
        }),
        Plot.ruleX(drawn, {
          x: size,
          y1: low,
          y2: (r: Drawn) => r.kl_nats + error(r),
          stroke: (r: Drawn) => KIND_COLOUR[r.kind],
          strokeWidth: 2,
          className: "mark-error-bars",
        }),
        Plot.dot(drawn, {
          x: size,
          y: "kl_nats",
          r: (r: Drawn) => (r.kind === "plan" ? 6.5 : 5),
          symbol: (r: Drawn) => KIND_SYMBOL[r.kind],
          fill: (r: Drawn) => KIND_COLOUR[r.kind],
          stroke: "var(--paper)",
          className: "mark-models",
        }),
        labels.map((l, i) =>
          Plot.text([ordered[i]!], {
            x: size,
            y: "kl_nats",
            text: shortLabel,
            dx: l.dx,
            dy: l.dy,
            textAnchor: l.anchor,
            fill: "var(--ink)",
            fontWeight: ordered[i]!.kind === "plan" ? 700 : 400,
            stroke: "var(--paper)",
            strokeWidth: 3,
          }),
        ),
        Plot.tip(
          drawn,
          Plot.pointer({
            ...tipStyle(width),
            x: size,
            y: "kl_nats",
            title: (r: Drawn) =>
              `${r.label}\n${bytes(r.bytes)}\nKL ${measured(r.kl_nats, r.kl_nats_stderr)} ${natsPer()}`,
          }),
        ),
      ],
      symbol: { type: "identity" } as Plot.ScaleOptions,
      r: { type: "identity" },
    });
  };

  const reference = report.results?.rows.find((r) => r.kind === "reference");
  const exact = report.results?.rows.filter((r) => r.kind !== "reference" && r.kl_nats === 0) ?? [];
  const legend = el(
    "p",
    { class: "legend" },
    el("span", null, el("span", { class: "key plan", "aria-hidden": true }), "plan"),
    el(
      "span",
      null,
      el("span", { class: "key uniform", "aria-hidden": true }),
      "uniform; the line is the best of at most that size",
    ),
    drawn.some((r) => r.kind === "preset") ? el("span", null, "triangle: what llama.cpp's own mix would be") : null,
    front.length > 1
      ? el("span", null, "dotted: what plans of every budget are foretold to cost")
      : null,
    limit.length > 1 ? el("span", null, "grey: the least that any code could cost") : null,
    reference
      ? el("span", { class: "muted" }, `${reference.label} (${bytes(reference.bytes)}, KL 0) lies off this log scale`)
      : null,
    ...exact.map((r) => el("span", { class: "muted" }, `so does ${r.label} (${bytes(r.bytes)}, KL 0)`)),
  );
  return section(
    "frontier",
    "Size against damage",
    figure("KL against file size.", "Lower and further left is better; bars are ± 2 standard errors.", draw, legend),
  );
}
