// Settings from a YAML file, for the program that takes one: no other needs to load the parser.

import { parse as parseYaml } from 'yaml';
import { type Given, SETTINGS, type SettingName } from './settings.ts';
import { unknownName, usage } from './values.ts';

/** Settings of a YAML file's text. `path` is for messages. */
export function settingsFromFile(text: string, path: string): Given {
  let parsed: unknown;
  try {
    parsed = parseYaml(text);
  } catch (error) {
    throw usage(`${path} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (parsed === null) return {};
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw usage(`${path} must be a list of settings, such as "profile: full"`);
  }
  for (const [key, value] of Object.entries(parsed)) {
    if (!Object.hasOwn(SETTINGS, key)) {
      throw usage(`${path}: ${unknownName('setting', key, Object.keys(SETTINGS)).message}`);
    }
    const { type } = SETTINGS[key as SettingName];
    if (type === 'sinks') continue;
    const list = type === 'list';
    if (!isPlain(value, list)) {
      throw usage(`${path}: ${key} must be ${list ? 'a list of words' : 'one value'}`);
    }
  }
  // A key without a value is as good as absent.
  return Object.fromEntries(Object.entries(parsed).filter(([, value]) => value !== null));
}

function isPlain(value: unknown, listAllowed: boolean): boolean {
  if (Array.isArray(value)) return listAllowed && value.every((one) => isPlain(one, false));
  return value === null || typeof value !== 'object';
}
