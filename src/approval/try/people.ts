// Who can sign in at the provider for trying. None of them exists, and none needs a password.

/** One of the people, as the claims of an ID token. */
export interface Person {
  readonly sub: string;
  readonly name: string;
  readonly email: string;
  readonly email_verified: boolean;
  readonly groups: readonly string[];
}

/** The group whose members may approve the calls of others. */
export const APPROVER_GROUP = "mcp-approvers";

/** Two who may approve their own calls only, and one of the group. */
export const PEOPLE: readonly Person[] = [
  person("alice", "Alice", []),
  person("bob", "Bob", []),
  person("carol", "Carol", [APPROVER_GROUP]),
];

/** The person with this login; undefined for anybody else. */
export function findPerson(login: unknown, people: readonly Person[] = PEOPLE): Person | undefined {
  return people.find(({ sub }) => sub === login);
}

function person(sub: string, name: string, groups: readonly string[]): Person {
  return { sub, name, email: `${sub}@example.com`, email_verified: true, groups };
}
