// Tables that scroll inside their own box and sort by a click on a heading.

import { el } from "./dom";
import { count } from "./format";

export interface Column<Row> {
  head: string;
  /** What the heading means, as a tooltip. */
  hint?: string;
  cell: (row: Row) => Node | string;
  /** Right-aligned, tabular figures. */
  numeric?: boolean;
  /** Makes the column sortable. */
  key?: (row: Row) => number | string | null;
  wide?: boolean;
}

export interface TableOptions<Row> {
  rowClass?: (row: Row) => string;
  /** Scrolls vertically too, under a heading that stays. */
  tall?: boolean;
  /** No wider than its content. */
  narrow?: boolean;
}

/** Rows that are drawn before anybody asks for more: tens of thousands take seconds. */
const FIRST_ROWS = 500;

/** What is missing comes last, whichever way is up. */
function compare(a: number | string | null, b: number | string | null, sign: number): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return sign * ordered(a, b);
}

function ordered(a: number | string, b: number | string): number {
  return typeof a === "number" && typeof b === "number"
    ? a - b
    : String(a).localeCompare(String(b), "en", { numeric: true });
}

export interface TableView<Row> {
  element: HTMLElement;
  show: (rows: Row[]) => void;
}

export function table<Row>(
  caption: string,
  columns: Column<Row>[],
  rows: Row[],
  options: TableOptions<Row> = {},
): TableView<Row> {
  const body = el("tbody");
  let shown = rows;
  let order: { column: Column<Row>; sign: number } | null = null;
  const columnClass = (column: Column<Row>) =>
    [column.numeric && "numeric", column.wide && "wide"].filter(Boolean).join(" ") || null;

  const line = (row: Row) =>
    el(
      "tr",
      { class: options.rowClass?.(row) || null },
      ...columns.map((column, i) =>
        i === 0
          ? el("th", { scope: "row", class: columnClass(column) }, column.cell(row))
          : el("td", { class: columnClass(column) }, column.cell(row)),
      ),
    );

  const fill = () => {
    const by = order;
    const key = by?.column.key;
    const sorted = by && key ? [...shown].sort((a, b) => compare(key(a), key(b), by.sign)) : shown;
    // One row more is shown at once: a line that offers it would take as much room.
    const first = sorted.length <= FIRST_ROWS + 1 ? sorted.length : FIRST_ROWS;
    body.replaceChildren(...sorted.slice(0, first).map(line));
    if (first === sorted.length) return;
    const button = el("button", { type: "button" }, `Show the other ${count(sorted.length - first)} rows`);
    const offer = el("tr", null, el("td", { colspan: columns.length }, el("div", { class: "actions" }, button)));
    button.addEventListener("click", () => offer.replaceWith(...sorted.slice(first).map(line)));
    body.append(offer);
  };

  const heads = columns.map((column) => {
    const head = el("th", { scope: "col", class: columnClass(column), title: column.hint ?? null });
    if (!column.key) {
      head.append(column.head);
      return head;
    }
    const button = el("button", { type: "button" }, column.head);
    button.addEventListener("click", () => {
      // Numbers are first wanted large to small, names from A to Z.
      const first = column.numeric ? -1 : 1;
      order = { column, sign: order?.column === column ? -order.sign : first };
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
      fill();
    });
    head.append(button);
    return head;
  });

  fill();
  const element = el(
    "div",
    {
      class: ["scroll", options.tall && "tall", options.narrow && "narrow"].filter(Boolean).join(" "),
      role: "region",
      tabindex: 0,
      "aria-label": caption,
    },
    el(
      "table",
      null,
      el("caption", null, el("span", null, caption)),
      el("thead", null, el("tr", null, ...heads)),
      body,
    ),
  );
  return { element, show: (next) => ((shown = next), fill()) };
}
