// Fails the build when the first load of a page grows past what we promise: what `index.html` names, compressed.
import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT_KB = 350;
const html = readFileSync('dist/index.html', 'utf8');
const named = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+\.(?:js|css))"/g)].map(([, path]) => path);
const size = (path) => gzipSync(readFileSync(`dist${path}`)).length / 1024;
const total = named.reduce((sum, path) => sum + size(path), 0);
const all = readdirSync('dist/assets').filter((name) => /\.(js|css)$/.test(name));
console.log(
  `first load ${total.toFixed(0)} kB gzip of ${LIMIT_KB}; all chunks ${all.reduce((sum, name) => sum + size(`/assets/${name}`), 0).toFixed(0)} kB`,
);
if (total > LIMIT_KB) {
  console.error(`The first load is over ${LIMIT_KB} kB: move an import into the page that needs it.`);
  process.exit(1);
}
