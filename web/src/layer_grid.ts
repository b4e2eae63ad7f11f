// The frame of a map with one column per layer: how wide its cells are and which layers are named.

import type { PlotOptions } from "@observablehq/plot";
import { plotStyle } from "./chart";

export interface LayerGrid {
  layers: number[];
  rows: string[];
  width: number; // of the figure
  marginLeft: number; // for the names of the rows
  cellHeight: number;
  widestCell: number;
}

/** What Plot.plot needs besides marks and the scale of the rows. */
export function layerGrid(grid: LayerGrid): { cellWidth: number; frame: PlotOptions } {
  const { layers, rows, marginLeft } = grid;
  const marginRight = 8;
  const cellWidth = Math.min((grid.width - marginLeft - marginRight) / Math.max(layers.length, 1), grid.widestCell);
  const every = Math.ceil(24 / cellWidth);
  return {
    cellWidth,
    frame: {
      width: Math.round(marginLeft + marginRight + cellWidth * layers.length),
      height: rows.length * grid.cellHeight + 44,
      marginLeft,
      marginRight,
      marginTop: 36,
      marginBottom: 8,
      style: plotStyle,
      x: {
        type: "band",
        domain: layers,
        axis: "top",
        label: "layer",
        labelAnchor: "left",
        tickSize: 0,
        paddingInner: 0.03,
        paddingOuter: 0,
        ticks: layers.filter((_, i) => i % every === 0),
      },
      color: { type: "identity" },
    },
  };
}
