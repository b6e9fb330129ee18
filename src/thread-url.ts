// Where the program of a thread lies: beside the bundle in dist/, or in the sources.

/** `source` is its place under src/, without .ts; `bundled` the name of its bundle, without .js. */
export function threadUrl(source: string, bundled: string): URL {
  if (import.meta.url.endsWith('.ts')) return new URL(`./${source}.ts`, import.meta.url);
  const inChunk = import.meta.url.includes('/chunks/');
  return new URL(`${inChunk ? '..' : '.'}/${bundled}.js`, import.meta.url);
}
