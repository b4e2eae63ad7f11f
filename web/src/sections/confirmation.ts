// How far a forecast was off where it was measured, and what doubt that leaves in the plan.

import type { Confirmation, Report } from "../data";
import { p, section, strong } from "../dom";
import { count, isNumber, measured, number } from "../format";
import { table } from "../table";
import { natsPer, ofImages } from "../unit";

type Row = Confirmation["matrices"][number];

const ratio = (row: Row): number | null =>
  isNumber(row.kl_nats) && isNumber(row.foretold_kl_nats) && row.foretold_kl_nats > 0
    ? row.kl_nats / row.foretold_kl_nats
    : null;

/** A factor that changes by less than this from the first layer to the last is told as one. */
const LEVEL = Math.log(1.25);

function howFarOff(data: Confirmation): string {
  if (!isNumber(data.factor) || !isNumber(data.factor_log_spread)) return "";
  const { factor, factor_log_slope: slope } = data;
  const times =
    isNumber(slope) && Math.abs(slope) > LEVEL
      ? `${number(factor * Math.exp(-slope / 2))} times what was foretold in the first and ${number(factor * Math.exp(slope / 2))} times in the last, between them along a line`
      : `${number(factor)} times what was foretold`;
  return `In the layers, measured damage was ${times}, within a factor of ${number(Math.exp(data.factor_log_spread))} from matrix to matrix. `;
}

function opening(data: Confirmation): HTMLElement {
  const inside = data.matrices.length;
  return p(
    `The plan rests on a forecast, of which ${count(inside)} matrices were measured: those outside of the layers, a random sample, and those whose scheme hung on it. `,
    strong(howFarOff(data)),
    data.complete
      ? `Knowing the others exactly would improve the plan by about ${number(data.doubt_kl_nats)} ${natsPer()} on average, so measuring ended there.`
      : isNumber(data.doubt_kl_nats)
        ? `Time was up while knowing the others exactly would still have improved the plan by about ${number(data.doubt_kl_nats)} ${natsPer()} on average.`
        : "Time was up before that said how far the plan can be relied on.",
  );
}

export function confirmation(report: Report): HTMLElement | null {
  const data = report.confirmation;
  if (!data || data.matrices.length === 0) return null;
  return section(
    "confirmation",
    "How good was the forecast?",
    opening(data),
    table<Row>(
      "Foretold against measured",
      [
        { head: "Matrix", cell: (r) => r.tensor, key: (r) => r.tensor },
        { head: "Measured because", cell: (r) => r.why, key: (r) => r.why },
        { head: "Scheme", cell: (r) => r.scheme, key: (r) => r.scheme },
        {
          head: "Foretold KL",
          numeric: true,
          cell: (r) => number(r.foretold_kl_nats),
          key: (r) => r.foretold_kl_nats,
        },
        {
          head: "Measured KL",
          numeric: true,
          cell: (r) => measured(r.kl_nats, r.kl_nats_stderr),
          key: (r) => r.kl_nats,
        },
        { head: "Ratio", numeric: true, cell: (r) => number(ratio(r)), key: ratio },
        {
          head: ofImages() ? "Images" : "Windows",
          hint: "As many as its question needed",
          numeric: true,
          cell: (r) => count(r.windows),
          key: (r) => r.windows,
        },
      ],
      data.matrices,
      { tall: true },
    ).element,
  );
}
