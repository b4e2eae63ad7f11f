// How far each measured model is from the least KL that any code could have in its bytes, and what makes up the distance.

import type { LimitRow, Report } from "../data";
import { p, section, strong } from "../dom";
import { isNumber, number } from "../format";
import { table, type Column } from "../table";

/** In the order in which they lead from the limit to the model; their product is the ratio. */
const SHARES: [keyof LimitRow, string, string][] = [
  ["scales", "Scales", "Bytes of scales, minimums and zero points, which hold no weights"],
  ["types", "Type per tensor", "Rates per tensor as they are, not as the optimum would have them"],
  ["directions", "Directions", "Every weight of a tensor at one rate, not each direction at what it deserves"],
  ["scalar_grid", "Scalar grid", "A grid with ideal entropy coding: π e / 6"],
  ["fixed_rate", "Fixed rate", "As many bits for every weight, by the best uniform quantizer of a Gaussian"],
  ["rounding", "Rounding", "What remains: the choice of scales and codes. Below 1 where it gains back what others lose"],
];

const times = (value: unknown) => (isNumber(value) ? `× ${number(value)}` : number(value));

/** A model that was not in full precision is named so among the results. */
const quantizedSource = (report: Report) =>
  report.results?.rows.some((row) => row.kind === "reference" && row.label.startsWith("source")) ?? false;

export function limit(report: Report): HTMLElement | null {
  const rows = (report.limit?.rows ?? []).filter((row) => isNumber(row.limit_kl_nats) && isNumber(row.ratio) && row.ratio > 0);
  if (rows.length === 0) return null;
  const held = rows.find((row) => row.label === report.plan?.label);
  const shares = SHARES.map(([key, head, hint]): Column<LimitRow> => {
    const value = (row: LimitRow) => (isNumber(row[key]) ? row[key] : null);
    return { head, hint, numeric: true, cell: (row) => times(value(row)), key: value };
  });
  return section(
    "limit",
    "How far from the best possible?",
    p(
      "The limit is the least KL that any code of these weights could have in as many bytes, by rate-distortion theory: weights as Gaussian sources, damage to second order. ",
      quantizedSource(report)
        ? "The model that this began with is quantized itself: a file that holds it as it is lies below, as its values are no sources of full precision. "
        : "",
      held ? strong(`${held.label} is at ${number(held.ratio)} times its limit. `) : "",
      "A factor of four is one bit per weight; the columns multiply to the ratio.",
    ),
    table<LimitRow>(
      "Measured KL over the limit",
      [
        { head: "Model", cell: (row) => row.label, key: (row) => row.label },
        {
          head: "Limit, nats",
          numeric: true,
          cell: (row) => number(row.limit_kl_nats),
          key: (row) => row.limit_kl_nats,
        },
        { head: "Ratio", numeric: true, cell: (row) => number(row.ratio), key: (row) => row.ratio },
        ...shares,
      ],
      rows,
    ).element,
  );
}
