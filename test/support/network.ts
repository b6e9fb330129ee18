// A network namespace of a test's own, behind a link that can be cut.

import { execFileSync } from 'node:child_process';
import { pid } from 'node:process';
import type { NatsPlace } from './nats-server.ts';

const ip = (...words: string[]): void => {
  execFileSync('ip', words, {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: 'pipe',
  });
};

/** A namespace; the test's side of the link has the address before its own. */
export class OtherNetwork implements NatsPlace {
  readonly #name = `tapio-test-${pid}`;
  readonly #link = `tt${pid % 1_000_000}`;
  readonly #subnet = `10.213.${pid % 250}`;
  readonly address = `${this.#subnet}.2`;
  readonly under = ['ip', 'netns', 'exec', this.#name];

  constructor() {
    ip('netns', 'add', this.#name);
    try {
      ip('link', 'add', this.#link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#name);
      ip('addr', 'add', `${this.#subnet}.1/24`, 'dev', this.#link);
      ip('link', 'set', this.#link, 'up');
      ip('-n', this.#name, 'addr', 'add', `${this.address}/24`, 'dev', 'eth0');
      ip('-n', this.#name, 'link', 'set', 'lo', 'up');
      ip('-n', this.#name, 'link', 'set', 'eth0', 'up');
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Nothing goes through, and nobody is told. */
  cut(): void {
    ip('-n', this.#name, 'link', 'set', 'eth0', 'down');
  }

  mend(): void {
    ip('-n', this.#name, 'link', 'set', 'eth0', 'up');
  }

  /** Takes it away; what runs in it must have ended. */
  remove(): void {
    ip('netns', 'del', this.#name);
  }
}
