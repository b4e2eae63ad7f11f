// Cells of a map by layer in which several things may stand: all experts' matrices of one role share one.

export interface Cell<T> {
  layer: number;
  row: string;
  items: T[]; // in the order given
}

export function sharedCells<T extends { layer: number }>(items: T[], rowOf: (item: T) => string): Cell<T>[] {
  const cells = new Map<string, Cell<T>>();
  for (const item of items) {
    const row = rowOf(item);
    const key = `${item.layer}/${row}`;
    const cell = cells.get(key);
    if (cell) cell.items.push(item);
    else cells.set(key, { layer: item.layer, row, items: [item] });
  }
  return [...cells.values()];
}
