// Imported before anything else: a Node that is too old would crash in native code instead of saying why.

import { exit, stderr, versions } from 'node:process';

const [major = 0, minor = 0] = versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  stderr.write(
    `this needs Node 22.18 or newer, and runs on ${versions.node}: in a checkout use npm start (it brings its own Node), elsewhere install a newer one\n`,
  );
  exit(1);
}
