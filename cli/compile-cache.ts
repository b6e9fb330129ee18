// Keeps what the bundle is compiled to beside it, so that the next start need not compile it again. Only where that
// directory is of who runs the program: nobody else's code is run, and nothing is left that others must remove.

import { statSync } from 'node:fs';
import nodeModule from 'node:module';
import { join } from 'node:path';
import { getuid } from 'node:process';

const { dirname, filename } = import.meta;
if (filename.endsWith('.js') && statSync(dirname).uid === getuid?.()) {
  // By name it could not be imported from a Node that is too old, which is to be told so.
  nodeModule.enableCompileCache(join(dirname, '.compiled'));
}
