// How much damage is undone by keeping the sensitive few, against the bytes that this adds.

import * as Plot from "@observablehq/plot";
import { figure, plotStyle, type Frame } from "../chart";
import type { ProtectionCurve, Report } from "../data";
import { el, p, section, strong } from "../dom";
import { bytes, isNumber, number } from "../format";
import { table } from "../table";

const COLOURS: Record<string, string> = {
  exact: "#7a9a01",
  fisher: "var(--plan)",
  error: "#a05195",
  activation: "#d45087",
  magnitude: "var(--uniform)",
  random: "var(--muted)",
};
const UNITS: Record<string, string> = {
  matrix: "whole matrices",
  column: "columns",
  weight: "single weights",
  feature: "channels of a site",
};

interface Point {
  unit: string;
  chosen_by: string;
  percent: number;
  recovery: number;
}

const percent = (share: unknown) => (isNumber(share) ? `${number(100 * share)}%` : "–");
const name = (curve: ProtectionCurve) => `${UNITS[curve.unit] ?? curve.unit} by ${curve.chosen_by}`;

function pointsOf(curve: ProtectionCurve, base: number): Point[] {
  const measured = curve.points.flatMap((point) =>
    isNumber(point.added_bytes) && isNumber(point.recovery)
      ? [{ percent: (100 * point.added_bytes) / base, recovery: point.recovery }]
      : [],
  );
  return [{ percent: 0, recovery: 0 }, ...measured].map((point) => ({
    unit: UNITS[curve.unit] ?? curve.unit,
    chosen_by: curve.chosen_by,
    ...point,
  }));
}

export function protection(report: Report): HTMLElement | null {
  const data = report.protection;
  const base = data?.base_bytes;
  if (!data || !isNumber(base) || data.curves.length === 0) return null;
  const points = data.curves.flatMap((curve) => pointsOf(curve, base));
  const units = [...new Set(points.map((point) => point.unit))];
  const ways = Object.keys(COLOURS).filter((way) => points.some((point) => point.chosen_by === way));
  const best = [...data.curves].sort(
    (a, b) => Number(b.points.at(-1)?.recovery ?? 0) - Number(a.points.at(-1)?.recovery ?? 0),
  )[0]!;
  const draw = ({ width }: Frame) => {
    const columns = Math.max(1, Math.min(units.length, Math.floor(width / 190)));
    const fx = (point: { unit: string }) => units.indexOf(point.unit) % columns;
    const fy = (point: { unit: string }) => Math.floor(units.indexOf(point.unit) / columns);
    return Plot.plot({
      width,
      height: 250 * Math.ceil(units.length / columns) + 50,
      marginLeft: 48,
      marginTop: 34,
      marginBottom: 38,
      style: plotStyle,
      fx: { axis: null, padding: 0.12 },
      fy: { axis: null, padding: 0.22 },
      x: { label: "added bytes, % of all matrices →", grid: true, ticks: 4 },
      y: { label: "↑ undone", domain: [Math.min(0, ...points.map((q) => q.recovery)), 1], grid: true },
      color: { domain: ways, range: ways.map((way) => COLOURS[way]!) },
      marks: [
        Plot.ruleY([0]),
        Plot.text(
          units.map((unit) => ({ unit })),
          { fx, fy, text: "unit", frameAnchor: "top-left", dy: -13 },
        ),
        Plot.line(points, { fx, fy, x: "percent", y: "recovery", stroke: "chosen_by", z: "chosen_by" }),
        Plot.dot(points, { fx, fy, x: "percent", y: "recovery", fill: "chosen_by", r: 2.5 }),
      ],
    });
  };
  const legend = el(
    "p",
    { class: "legend" },
    ...ways.map((way) =>
      el("span", null, el("span", { class: "key", style: `background: ${COLOURS[way]!}`, "aria-hidden": true }), way),
    ),
  );
  return section(
    "protection",
    "Does protecting the sensitive few restore it?",
    p(
      `Everything in ${data.scheme}: ${bytes(base)}, KL ${number(data.base_kl_nats)} nats. `,
      strong(
        `The most is undone by ${name(best)}: ${percent(best.points.at(-1)?.recovery)} for ${percent(Number(best.points.at(-1)?.added_bytes) / base)} more bytes`,
      ),
      best.knee_share ? `, with its knee at ${percent(best.knee_share)}.` : ".",
      " Positions count as bytes; a random choice of as many bytes is the control.",
    ),
    figure("Recovery by added bytes.", "One panel for each kind of piece that is kept in 16 bits.", draw, legend),
    table<ProtectionCurve>(
      "Recovery curves",
      [
        { head: "Kept in 16 bits", cell: (c) => UNITS[c.unit] ?? c.unit, key: (c) => c.unit },
        { head: "Chosen by", cell: (c) => c.chosen_by, key: (c) => c.chosen_by },
        {
          head: "Knee",
          hint: "Added bytes where the curve bends most",
          numeric: true,
          cell: (c) => (c.knee_share ? percent(c.knee_share) : "–"),
          key: (c) => c.knee_share,
        },
        { head: "Undone there", numeric: true, cell: (c) => percent(c.knee_recovery), key: (c) => c.knee_recovery },
        {
          head: "Undone at the end",
          numeric: true,
          cell: (c) => percent(c.points.at(-1)?.recovery),
          key: (c) => c.points.at(-1)?.recovery ?? null,
        },
      ],
      data.curves,
    ).element,
  );
}
