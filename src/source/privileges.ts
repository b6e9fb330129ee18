// What the addon gives up of privileges, which Node cannot: it knows users, but neither capabilities nor threads.

/** Who a process may run as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** The addon's part for privileges. Each throws Error with why it could not. */
export interface PrivilegeNative {
  /** Takes all capabilities from the calling thread, for good, and names it. */
  dropCapabilities(threadName: string): void;
  /** The account of a user by name or number. `group`, by name or number, takes the place of its groups; '' is none. */
  findAccount(user: string, group: string): Account;
  /**
   * Puts a program in this one's place, with no more than these capabilities (numbers). `files` must be readable for it,
   * `descriptors` stay open. After an error the process is good for nothing but its end.
   */
  runAs(
    account: Account,
    run: {
      readonly capabilities: readonly number[];
      readonly arguments: readonly string[];
      readonly files: readonly string[];
      readonly descriptors: readonly number[];
    },
  ): void;
}
