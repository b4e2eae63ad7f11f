// Where to write the names of points so that they cover neither points nor each other.

export interface Point {
  x: number;
  y: number;
  text: string;
  /** Tries above before beside: for points from which a line runs to the right. */
  above?: boolean;
}

export interface Placed extends Point {
  dx: number;
  dy: number;
  anchor: "start" | "middle" | "end";
}

interface Rect {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const HALF_HEIGHT = 7;

function overlap(a: Rect, b: Rect): number {
  const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return w > 0 && h > 0 ? w * h : 0;
}

/** Greedy, in the order given: each label takes the first of its places that is free, else the least crowded. */
export function placeLabels(points: Point[], width: number, characterWidth = 6.6): Placed[] {
  const taken: Rect[] = points.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  return points.map((point) => {
    const length = point.text.length * characterWidth;
    const places: Omit<Placed, keyof Point>[] = [
      { dx: 10, dy: 0, anchor: "start" },
      { dx: -10, dy: 0, anchor: "end" },
      { dx: 0, dy: -15, anchor: "middle" },
      { dx: 0, dy: 15, anchor: "middle" },
      { dx: 8, dy: -12, anchor: "start" },
      { dx: 8, dy: 12, anchor: "start" },
      { dx: -8, dy: -12, anchor: "end" },
      { dx: -8, dy: 12, anchor: "end" },
      { dx: 8, dy: -26, anchor: "start" },
      { dx: -8, dy: 26, anchor: "end" },
    ];
    if (point.above) places.unshift({ dx: 7, dy: -11, anchor: "start" });
    let best = { cost: Infinity, place: places[0]!, rect: taken[0]! };
    for (const place of places) {
      const left = point.x + place.dx - (place.anchor === "end" ? length : place.anchor === "middle" ? length / 2 : 0);
      const y = point.y + place.dy;
      const rect = { left, right: left + length, top: y - HALF_HEIGHT, bottom: y + HALF_HEIGHT };
      const outside = Math.max(0, -rect.left) + Math.max(0, rect.right - width);  // cut off: worse than crowded
      const cost = 500 * outside + taken.reduce((sum, other) => sum + overlap(rect, other), 0);
      if (cost < best.cost) best = { cost, place, rect };
      if (cost === 0) break;
    }
    taken.push(best.rect);
    return { ...point, ...best.place };
  });
}
