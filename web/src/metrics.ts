// Columns of measured figures, from their descriptions in the data: a new metric needs no code here.

import type { Metric } from "./data";
import { isNumber, measured, number, share } from "./format";
import type { Column } from "./table";

type Format = (value: unknown, standardError: unknown) => string;

// Two digits of the error where there is no unit (perplexity), since models differ by less than it: their errors are of
// the same text, hence alike.
const plain: Format = (value, error) => (isNumber(error) && error > 0 ? measured(value, error, 2) : number(value, 4));
const FORMATS = new Map<string, Format>([
  ["share", share],
  ["", plain],
]);

const DIRECTIONS = new Map([
  ["higher", " Lower is better."],
  ["lower", " Higher is better."],
]);

/** One column per metric, of rows that hold its value under its key and the standard error under key + "_stderr". */
export function metricColumns<Row extends object>(metrics: Metric[] | undefined): Column<Row>[] {
  return (metrics ?? []).map((metric) => {
    const format = FORMATS.get(metric.unit) ?? measured;
    const value = (row: Row, key: string) => (row as Record<string, unknown>)[key];
    return {
      head: metric.title,
      hint: `${metric.meaning}.${DIRECTIONS.get(metric.worse) ?? ""}`,
      numeric: true,
      cell: (row) => format(value(row, metric.key), value(row, `${metric.key}_stderr`)),
      key: (row) => {
        const found = value(row, metric.key);
        return isNumber(found) ? found : null;
      },
    };
  });
}
