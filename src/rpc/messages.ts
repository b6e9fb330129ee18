// The service's messages and methods, as schemas/recorder.proto has them.

import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/** 64-bit numbers are decimal text; fields that are absent are not there. */
const OPTIONS = { keepCase: true, longs: String, enums: String, defaults: false, oneofs: true };

/** schemas/ is beside src/ in a checkout, and beside dist/ in the package. */
function schemasUrl(): URL {
  const inSource = import.meta.url.endsWith('.ts');
  const isDeep = inSource || import.meta.url.includes('/chunks/');
  return new URL(isDeep ? '../../schemas/' : '../schemas/', import.meta.url);
}

export interface Definitions {
  readonly definition: PackageDefinition;
  readonly services: {
    readonly EBPFExport: import('@grpc/grpc-js').ServiceDefinition;
    readonly Recorder: import('@grpc/grpc-js').ServiceDefinition;
  };
}

/** Reads the definitions. */
export function definitions(): Definitions {
  const schemas = fileURLToPath(schemasUrl());
  const definition = loadSync('recorder.proto', {
    ...OPTIONS,
    includeDirs: [schemas, `${schemas}generated`],
  });
  const loaded = loadPackageDefinition(definition) as unknown as {
    tapio: {
      ebpf: {
        v1: Record<'EBPFExport' | 'Recorder', { service: Definitions['services']['Recorder'] }>;
      };
    };
  };
  const { EBPFExport, Recorder } = loaded.tapio.ebpf.v1;
  return { definition, services: { EBPFExport: EBPFExport.service, Recorder: Recorder.service } };
}
