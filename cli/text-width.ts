// Stands in for the package string-width in the bundle. That makes three Intl.Segmenter and the expressions for every
// emoji as it is loaded, 40 ms before any flag is read; the texts of our help are of characters one cell wide.

/** Cells that a text takes on a terminal, as long as each of its characters takes one. */
export default function textWidth(text: string): number {
  return [...text].length;
}
