// Names inside a store's segments/ directory.

/** Prefix of a segment that is being written. */
export const OPEN_PREFIX = '.open-';
/** Prefix of the merged form of one while it is built. */
export const SEAL_PREFIX = '.seal-';
/** Prefix of one that is being removed. */
export const GONE_PREFIX = '.gone-';

export const COMMITS_FILE = 'commits.ndjson';
export const LOSSES_FILE = 'losses.arrow';
export const PROCESSES_FILE = 'processes.arrow';
export const SOCKETS_FILE = 'sockets.arrow';
export const INDEX_FILE = 'index.arrow';
/** What stand in for dictionaries, processes.arrow and sockets.arrow until the seal. */
export const DICTIONARY_LOG = 'dictionary.log';
export const PROCESS_LOG = 'processes.open.arrow';
export const SOCKET_LOG = 'sockets.open.arrow';
/** Those that go with the seal. */
export const LOGS = [DICTIONARY_LOG, PROCESS_LOG, SOCKET_LOG] as const;
