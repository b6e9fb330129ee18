// Certificates of a test's own.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Makes the authorities `ca` and `other`, and a certificate by `ca` for each name; gives the path of a file by its name. */
export function certificates(
  directory: string,
  ...names: readonly string[]
): (name: string) => string {
  const openssl = (...args: string[]): unknown =>
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  for (const ca of ['ca', 'other']) {
    const files = ['-keyout', `${ca}.key`, '-out', `${ca}.pem`];
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${ca}`, ...files);
  }
  for (const name of names) {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
    const san = ['-addext', `subjectAltName=DNS:tapio.test,DNS:${name}.test`];
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, ...san, ...files);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`);
  }
  return (name) => join(directory, name);
}
