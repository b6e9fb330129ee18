// What both programs share: choosing a command, reading its flags, telling errors.

import { argv, exit, stderr, stdout } from 'node:process';
import type { Options } from 'yargs';
import { exitCodeOf, nearestName, TapioError } from '../src/errors.ts';
import { VERSION } from '../src/version.ts';

export type Flags = Readonly<Record<string, unknown>> & {
  readonly _: readonly (string | number)[];
};

/** One command: its flags beside what it does. `run` gives the exit code. */
export interface Command {
  readonly usage: string;
  readonly flags: Readonly<Record<string, Options>>;
  readonly examples: readonly (readonly [string, string])[];
  run(flags: Flags): Promise<number>;
}

export interface Program {
  readonly name: string;
  readonly about: string;
  /** Command that is meant when none is named, or null. */
  readonly fallback: string | null;
  readonly commands: Readonly<
    Record<string, { readonly about: string; readonly load: () => Promise<Command> }>
  >;
}

function help(program: Program): string {
  const rows = Object.entries(program.commands).map(
    ([name, { about }]) =>
      `  ${program.name} ${name.padEnd(10)} ${about}${name === program.fallback ? ' (default)' : ''}`,
  );
  return [
    program.about,
    '',
    'Commands:',
    ...rows,
    '',
    `Flags and examples of one: ${program.name} COMMAND --help`,
    '',
  ].join('\n');
}

/** Writes an error for the user and gives the exit code. A bug is told with its stack. */
export function tellError(program: string, error: unknown): number {
  if (error instanceof TapioError) {
    stderr.write(`${program}: ${error.message}\n`);
    return exitCodeOf(error.code);
  }
  const { stack } = error as Error;
  stderr.write(`${program}: this is a bug, please report it:\n${stack}\n`);
  return 1;
}

function checkNames(flags: Flags, command: Command): void {
  const known = Object.entries(command.flags).flatMap(([name, option]) => [
    name,
    ...[option.alias ?? []].flat(),
  ]);
  const camel = (name: string): string =>
    name.replace(/-([a-z])/g, (_, c: string) => c.toUpperCase());
  const accepted = new Set([...known, ...known.map(camel), 'help', 'version', '_', '$0']);
  for (const name of Object.keys(flags)) {
    if (accepted.has(name)) continue;
    const near = nearestName(name, known);
    const hint = near === null ? '' : ` (did you mean --${near}?)`;
    throw new TapioError('usage', `unknown flag ${name.length === 1 ? '-' : '--'}${name}${hint}`);
  }
}

async function parse(
  program: Program,
  name: string,
  command: Command,
  words: readonly string[],
): Promise<Flags | string> {
  const { default: yargs } = await import('yargs');
  let text: string | null = null;
  const parser = yargs([...words])
    .scriptName(program.name)
    .usage(`${program.name} ${command.usage.replace('COMMAND', name)}`)
    .options(command.flags)
    .example(command.examples.map(([line, about]) => [line, about] as [string, string]))
    .parserConfiguration({ 'duplicate-arguments-array': true, 'strip-aliased': true })
    .wrap(100)
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new TapioError('usage', message);
    });
  const flags = await parser.parse([...words], {}, (_error, _argv, output) => {
    if (output !== '') text = output;
  });
  if (text !== null) return text;
  checkNames(flags as Flags, command);
  return flags as Flags;
}

/** Runs a program and exits with its code. */
export async function runProgram(program: Program): Promise<void> {
  // A reader that has seen enough (head, less) closes the pipe: that is a normal end.
  stdout.on('error', (error: NodeJS.ErrnoException) => exit(error.code === 'EPIPE' ? 0 : 1));
  // Nobody hears it, or the log's disk is full: what the program does goes on.
  stderr.on('error', () => {});
  const words = argv.slice(2);
  const first = words[0];
  try {
    if (first === '--version') {
      stdout.write(`${VERSION}\n`);
      return;
    }
    if (first === '--help' || first === '-h' || first === 'help') {
      stdout.write(help(program));
      return;
    }
    const named = first !== undefined && !first.startsWith('-');
    const name = named ? first : program.fallback;
    if (name === null) {
      stderr.write(help(program));
      exit(2);
    }
    const entry = program.commands[name];
    if (entry === undefined) {
      const near = nearestName(name, Object.keys(program.commands));
      throw new TapioError(
        'usage',
        `unknown command ${name}${near === null ? '' : ` (did you mean ${near}?)`}: ${program.name} --help lists them`,
      );
    }
    const command = await entry.load();
    const flags = await parse(program, name, command, named ? words.slice(1) : words);
    if (typeof flags === 'string') {
      stdout.write(`${flags}\n`);
      return;
    }
    process.exitCode = await command.run(flags);
  } catch (error) {
    process.exitCode = tellError(program.name, error);
  }
}
