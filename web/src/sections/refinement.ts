// What a second round, measured around the plan, changed in it.

import type { Refinement, Report } from "../data";
import { p, section, strong } from "../dom";
import { count, isNumber, measured, number } from "../format";
import { table } from "../table";
import { natsPer } from "../unit";

type Row = Refinement["exchanges"][number];

/** Experts that a file stacks are exchanged together. */
function matrixOf(row: Row): string {
  const [first = row.tensor ?? "", ...others] = row.tensors ?? [];
  return others.length > 0 ? `${first} and ${others.length} more` : first;
}

const ratio = (row: Row): number | null =>
  isNumber(row.measured_kl_nats) && isNumber(row.foretold_kl_nats) && row.foretold_kl_nats !== 0
    ? row.measured_kl_nats / row.foretold_kl_nats
    : null;

/** By two standard errors of the difference, taken as independent (the cautious side). */
const isTold = (data: Refinement) =>
  Math.abs((data.before_kl_nats ?? NaN) - (data.after_kl_nats ?? NaN)) >
  2 * Math.hypot(data.before_kl_nats_stderr ?? Infinity, data.after_kl_nats_stderr ?? Infinity);

function opening(data: Refinement): HTMLElement {
  const before = measured(data.before_kl_nats, data.before_kl_nats_stderr),
    after = measured(data.after_kl_nats, data.after_kl_nats_stderr);
  return p(
    `Damage was foretold for each matrix alone. The ${count(data.exchanges.length)} exchanges that the plan came nearest to were then made in the quantized model, one at a time. `,
    isNumber(data.factor)
      ? `One of them changed the damage by ${number(data.factor)} times what was foretold, by least squares over all. `
      : "",
    strong(
      data.kept
        ? `Planning once more exchanged ${count(data.changed)} matrices: on text that chose neither plan the damage was ${before} ${natsPer()} before and is ${after} after${isTold(data) ? "" : ", which their errors, taken as independent, do not tell apart"}.`
        : data.changed === 0
          ? "Planning once more led to the same plan."
          : `Planning once more would exchange ${count(data.changed)} matrices, but does no good on text that chose neither plan (${before} before, ${after} after, in ${natsPer()}): the first plan stayed.`,
    ),
  );
}

export function refinement(report: Report): HTMLElement | null {
  const data = report.refinement;
  if (!data || data.exchanges.length === 0) return null;
  return section(
    "second-round",
    "Does the plan hold once everything is quantized?",
    opening(data),
    table<Row>(
      "Exchanges made around the plan",
      [
        { head: "Matrix", cell: matrixOf, key: matrixOf },
        { head: "Planned", cell: (r) => r.from, key: (r) => r.from },
        { head: "Instead", cell: (r) => r.to, key: (r) => r.to },
        {
          head: "Foretold change of KL",
          numeric: true,
          cell: (r) => number(r.foretold_kl_nats),
          key: (r) => r.foretold_kl_nats,
        },
        {
          head: "Measured change of KL",
          numeric: true,
          cell: (r) => number(r.measured_kl_nats),
          key: (r) => r.measured_kl_nats,
        },
        { head: "Ratio", numeric: true, cell: (r) => number(ratio(r)), key: ratio },
      ],
      data.exchanges,
      { tall: true },
    ).element,
  );
}
