// What the URL of a NATS sink says.

import { readFileSync } from 'node:fs';
import { credsAuthenticator, type NodeConnectionOptions } from '@nats-io/transport-node';
import { usage } from '../config/values.ts';
import { parseSubject, SUBJECT_DEFAULT, type SubjectTemplate } from './nats-subject.ts';
import { decodedPart, SinkOptions } from './options.ts';

const NAMES = ['stream', 'subject', 'create', 'creds', 'ca', 'cert', 'key'] as const;
const PORT_DEFAULT = '4222';

/** Tapio's streams by the first word of their subjects. */
const STREAMS: Readonly<Record<string, { name: string; subjects: string }>> = {
  events: { name: 'TAPIO_EVENTS', subjects: 'events.>' },
  traces: { name: 'TRACES', subjects: 'traces.>' },
};
const STREAM_OTHERWISE = 'TAPIO_EVENTS';

export interface NatsOptions {
  /** Without secrets. */
  readonly place: string;
  readonly subject: SubjectTemplate;
  readonly stream: string;
  /** What the stream takes where it is created. */
  readonly streamSubjects: string;
  readonly create: boolean;
  readonly connection: NodeConnectionOptions;
}

/** Reads `nats://` and `tls://` URLs; throws TapioError('usage'). */
export function natsOptions(url: URL): NatsOptions {
  const options = new SinkOptions(url, NAMES);
  if (url.hostname === '')
    throw usage(`${url.protocol}// has no host: write nats://localhost:4222`);
  if (url.pathname !== '' && url.pathname !== '/') {
    throw usage(`${url.pathname} in the URL means nothing: name the stream by ?stream=`);
  }
  const host = `${url.hostname}:${url.port === '' ? PORT_DEFAULT : url.port}`;
  const template = options.text('subject') ?? SUBJECT_DEFAULT;
  const subject = parseSubject(template);
  const word = template.split('.')[0] ?? '';
  const known = Object.hasOwn(STREAMS, word) ? STREAMS[word] : undefined;
  const stream = options.text('stream') ?? known?.name ?? STREAM_OTHERWISE;
  // What JetStream takes as a name.
  if (/[\s.*>/\\]/.test(stream)) {
    throw usage(`?stream=${stream}: a stream's name has no spaces, dots, slashes or wildcards`);
  }
  return {
    place: `${url.protocol}//${host}`,
    subject,
    stream,
    streamSubjects: known?.subjects ?? subject.wildcard,
    create: options.flag('create', true),
    connection: { servers: host, ...identity(url, options), ...security(url, options) },
  };
}

type Options = SinkOptions<(typeof NAMES)[number]>;

/** Who the recorder is to the server. */
function identity(url: URL, options: Options): NodeConnectionOptions {
  const creds = options.file('creds');
  if (creds !== null) {
    if (url.username !== '') throw usage('?creds= and a user in the URL: give one of them');
    // Read at each connection, as the certificates are.
    return { authenticator: (nonce) => credsAuthenticator(readFileSync(creds))(nonce) };
  }
  if (url.username === '') return {};
  const user = decodedPart('user', url.username);
  // As NATS has it: a name alone is a token.
  if (url.password === '') return { token: user };
  return { user, pass: decodedPart('password', url.password) };
}

/** The files are read at each connection: certificates are renewed while a recorder runs. */
function security(url: URL, options: Options): NodeConnectionOptions {
  const [caFile, certFile, keyFile] = [
    options.file('ca'),
    options.file('cert'),
    options.file('key'),
  ];
  if ((certFile === null) !== (keyFile === null)) {
    throw usage('?cert= and ?key= go together: give both or none');
  }
  if (url.protocol !== 'tls:' && caFile === null && certFile === null) return {};
  return {
    tls: {
      ...(caFile === null ? {} : { caFile }),
      ...(certFile === null ? {} : { certFile }),
      ...(keyFile === null ? {} : { keyFile }),
    },
  };
}
