// Point 2: does the service account follow least privilege? The account of the workload, its rights in Kubernetes, and what its pods may do on their
// node. The role in AWS is in role.ts.
import { get, isRecord, type KubeObject, list, objectName, record, text, texts } from "../kube-object.ts";
import { type Hit, hit, type Rule } from "../rule.ts";
import type { Container } from "../workload.ts";
import type { Server } from "../world.ts";

/** The user of Istio's proxy. */
const PROXY_USER = 1337;
const ROOT_USER = 0;
const BROAD_ROLES = new Set(["cluster-admin", "admin", "edit"]);
/** Names of variables that have credentials, and values that are some, whatever their name: a URL with a password too. */
const CREDENTIAL_NAME = /(?:^|_)(?:TOKEN|SECRET|KEY|PASSWORD|PASSWD|PAT|CREDENTIALS?)$|^AWS_ACCESS_KEY_ID$/i;
const CREDENTIAL_VALUE =
  /^(?:AKIA|ASIA)[0-9A-Z]{16}$|^gh[pousr]_\w{20,}|^github_pat_\w{20,}|^xox[abprs]-|^sk-[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY|^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]*:[^/?#@\s]+@/;

export const identityRules: readonly Rule[] = [
  {
    id: "service-account-default",
    questions: ["identity", "caller"],
    why: "Every pod of the namespace that names no account has this one, and with it every right and role that this server is given.",
    mend: "Give the workload a ServiceAccount of its own: serviceAccountName.",
    *check({ object, podPath, serviceAccount }) {
      if (serviceAccount === "default")
        yield hit(
          object,
          [...podPath, "spec", "serviceAccountName"],
          "found the account default, expected one of its own",
        );
    },
  },
  {
    id: "service-account-shared",
    questions: ["identity", "caller"],
    why: "Both have the rights of either, and nobody can tell them apart: neither mTLS, nor the role, nor the audit trail.",
    mend: "Give each workload a ServiceAccount of its own.",
    *check(server, { workloads }) {
      const { object, podPath, serviceAccount } = server;
      if (serviceAccount === "default") return;
      for (const other of workloads) {
        if (
          other.object === object ||
          other.object.namespace !== object.namespace ||
          other.serviceAccount !== serviceAccount
        )
          continue;
        yield hit(
          object,
          [...podPath, "spec", "serviceAccountName"],
          `found ${serviceAccount}, which ${objectName(other.object)} has as well, expected one of its own`,
        );
      }
    },
  },
  {
    id: "service-account-missing",
    questions: ["identity"],
    why: "What is not there cannot be looked at: its role, and whether its token is mounted.",
    mend: "Hand in the ServiceAccount with the other manifests, or correct serviceAccountName.",
    *check(server, { objects }) {
      const { object, podPath, serviceAccount } = server;
      if (serviceAccount === "default" || accountOf(server, objects) !== undefined) return;
      yield hit(
        object,
        [...podPath, "spec", "serviceAccountName"],
        `found no ServiceAccount ${object.namespace}/${serviceAccount} among the input`,
      );
    },
  },
  {
    id: "service-account-rights",
    questions: ["identity"],
    why: "An MCP server runs what models ask for. With such rights in Kubernetes it can take over the namespace, or the cluster.",
    mend: "Bind a Role to the account that names the verbs and resources that the server needs, or none.",
    *check(server, { objects }) {
      for (const binding of objects) {
        if (!isBindingOf(binding, server)) continue;
        const found = broadRight(binding, objects);
        if (found !== undefined) yield hit(binding, ["roleRef"], found);
      }
    },
  },
  {
    id: "token-mounted",
    questions: ["identity"],
    why: "The token for the Kubernetes API lies in each container's file system, for whatever reads files there.",
    mend: "Set automountServiceAccountToken: false in the pod. IRSA and Istio have volumes of their own.",
    *check(server, { objects }) {
      const { pod, object, podPath } = server;
      const account = get(accountOf(server, objects)?.value, "automountServiceAccountToken");
      if ((pod.automountServiceAccountToken ?? account) === false) return;
      yield hit(
        object,
        [...podPath, "spec", "automountServiceAccountToken"],
        "found no automountServiceAccountToken: false",
      );
    },
  },
  {
    id: "host-namespace",
    questions: ["identity", "caller", "egress"],
    why: "In a namespace of the host the pod goes around its sidecar, or sees the processes of others.",
    mend: "Remove hostNetwork, hostPID, hostIPC and hostPort.",
    *check({ object, podPath, pod, containers }) {
      for (const member of ["hostNetwork", "hostPID", "hostIPC"]) {
        if (pod[member] === true)
          yield hit(object, [...podPath, "spec", member], `found ${member}: true, expected none`);
      }
      for (const { value, path } of containers) {
        for (const [index, port] of list(value.ports).entries()) {
          if (get(port, "hostPort") !== undefined)
            yield hit(
              object,
              [...path, "ports", index, "hostPort"],
              `found hostPort ${get(port, "hostPort")}, expected none`,
            );
        }
      }
    },
  },
  {
    id: "host-path",
    questions: ["identity"],
    why: "A folder of the node is one of all pods on it, and often the way out of the container.",
    mend: "Use an emptyDir or a PersistentVolumeClaim.",
    *check({ object, podPath, pod }) {
      for (const [index, volume] of list(pod.volumes).entries()) {
        const path = get(volume, "hostPath");
        if (path !== undefined)
          yield hit(
            object,
            [...podPath, "spec", "volumes", index, "hostPath"],
            `found the folder ${text(get(path, "path"))} of the node, expected none`,
          );
      }
    },
  },
  {
    id: "pod-security",
    questions: ["identity"],
    why: "Without the level restricted Kubernetes admits pods of this namespace that have every right on their node.",
    mend: "Label the namespace pod-security.kubernetes.io/enforce: restricted.",
    *check({ namespaceObject }) {
      const level = namespaceObject?.labels["pod-security.kubernetes.io/enforce"];
      if (namespaceObject === undefined || level === "restricted") return;
      yield hit(
        namespaceObject,
        ["metadata", "labels", "pod-security.kubernetes.io/enforce"],
        `found the level ${level ?? "privileged (none is set)"}, expected restricted`,
      );
    },
  },
  ...containerRules([
    {
      id: "run-as-root",
      why: "A process of root in a container is root on the node, should it ever get out.",
      mend: "Set runAsNonRoot: true, and runAsUser to a number above 0.",
      *check(container, server) {
        const user = security(container, server, "runAsUser");
        const isNonRoot = security(container, server, "runAsNonRoot");
        if (user.value === ROOT_USER)
          yield hit(server.object, user.path, "found runAsUser: 0, expected another number");
        else if (isNonRoot.value !== true)
          yield hit(server.object, isNonRoot.path, `found no runAsNonRoot: true for the container ${container.name}`);
        else if (user.value === undefined)
          yield hit(
            server.object,
            user.path,
            `found no runAsUser for the container ${container.name}, expected a number: the image decides otherwise`,
          );
      },
    },
    {
      id: "run-as-proxy",
      questions: ["identity", "egress"],
      why: "Traffic of user or group 1337 is the proxy's own for Istio, and goes around the proxy.",
      mend: "Choose another number for runAsUser and runAsGroup.",
      *check(container, server) {
        for (const member of ["runAsUser", "runAsGroup"]) {
          const { value, path } = security(container, server, member);
          if (value === PROXY_USER)
            yield hit(server.object, path, `found ${member}: ${PROXY_USER}, expected another number`);
        }
      },
    },
    {
      id: "privilege-escalation",
      why: "A program with the setuid bit gives the process the rights of its owner.",
      mend: "Set allowPrivilegeEscalation: false in the securityContext of the container.",
      *check(container, { object }) {
        if (own(container, "allowPrivilegeEscalation") !== false)
          yield hit(
            object,
            ownPath(container, "allowPrivilegeEscalation"),
            `found no allowPrivilegeEscalation: false for the container ${container.name}`,
          );
      },
    },
    {
      id: "privileged",
      why: "A privileged container has the devices and the rights of the node.",
      mend: "Remove privileged.",
      *check(container, { object }) {
        if (own(container, "privileged") === true)
          yield hit(
            object,
            ownPath(container, "privileged"),
            `found privileged: true for the container ${container.name}, expected none`,
          );
      },
    },
    {
      id: "capabilities",
      questions: ["identity"],
      why: "Containers begin with a dozen rights of root, which no MCP server needs.",
      mend: "Set capabilities to drop: [ALL], and add none but NET_BIND_SERVICE.",
      *check(container, { object }) {
        const capabilities = own(container, "capabilities");
        const added = texts(get(capabilities, "add")).filter((name) => name !== "NET_BIND_SERVICE");
        if (!texts(get(capabilities, "drop")).includes("ALL"))
          yield hit(
            object,
            ownPath(container, "capabilities"),
            `found no drop: [ALL] for the container ${container.name}`,
          );
        else if (added.length > 0)
          yield hit(
            object,
            ownPath(container, "capabilities", "add"),
            `found ${added.join(", ")} for the container ${container.name}, expected none`,
          );
      },
    },
    {
      id: "seccomp",
      why: "Without a profile the process may make every system call of the kernel.",
      mend: "Set seccompProfile to type: RuntimeDefault in the securityContext of the pod.",
      *check(container, server) {
        const { value, path } = security(container, server, "seccompProfile");
        const type = text(get(value, "type"));
        if (type !== "RuntimeDefault" && type !== "Localhost")
          yield hit(
            server.object,
            path,
            `found ${type || "no profile"} for the container ${container.name}, expected RuntimeDefault or Localhost`,
          );
      },
    },
    {
      id: "writable-root",
      why: "What can write to the container's file system can change the program that runs there.",
      mend: "Set readOnlyRootFilesystem: true, and mount an emptyDir where the server writes.",
      *check(container, { object }) {
        if (own(container, "readOnlyRootFilesystem") !== true)
          yield hit(
            object,
            ownPath(container, "readOnlyRootFilesystem"),
            `found no readOnlyRootFilesystem: true for the container ${container.name}`,
          );
      },
    },
    {
      id: "image-not-pinned",
      why: "A tag can be moved: the next pod may run another program under the same name.",
      mend: "Name the image by its digest: repository@sha256:…",
      *check({ value, path }, { object }) {
        const image = text(value.image);
        if (!/@sha256:[0-9a-f]{64}$/.test(image))
          yield hit(
            object,
            [...path, "image"],
            `found ${image || "no image"}, expected one that ends with @sha256: and 64 hexadecimal digits`,
          );
      },
    },
    {
      id: "no-limits",
      why: "Without a limit of memory one container can exhaust the node, and the proxies on it with their guards.",
      mend: "Set resources.limits.memory.",
      *check({ name, value, path }, { object }) {
        if (get(value, "resources", "limits", "memory") === undefined)
          yield hit(object, [...path, "resources"], `found no limit of memory for the container ${name}`);
      },
    },
    {
      id: "static-credential",
      why: "A credential in a manifest is one that lasts, that everybody with the manifest has, and that acts for nobody in particular.",
      mend: "Take credentials from the workload's identity: IRSA or Pod Identity for AWS, token exchange for others.",
      *check({ value, path }, { object }) {
        for (const [index, variable] of list(value.env).entries()) {
          const [name, literal] = [text(get(variable, "name")), text(get(variable, "value"))];
          // A path of a file, or another variable, is no credential itself.
          const isReference = literal === "" || /^\/|^\$\(/.test(literal);
          const isCredential = (CREDENTIAL_NAME.test(name) && !isReference) || CREDENTIAL_VALUE.test(literal);
          if (isCredential)
            yield hit(object, [...path, "env", index], `found a literal value in ${name}, expected none`);
        }
      },
    },
  ]),
];

/** A rule about one container of a server. */
interface ContainerRule extends Pick<Rule, "id" | "why" | "mend"> {
  questions?: Rule["questions"];
  check(container: Container, server: Server): Iterable<Hit>;
}

function containerRules(rules: readonly ContainerRule[]): Rule[] {
  return rules.map(({ questions = ["identity"], check, ...rule }) => ({
    ...rule,
    questions,
    *check(server) {
      for (const container of server.containers) yield* check(container, server);
    },
  }));
}

/** A member of the container's security context. */
function own({ value }: Container, member: string): unknown {
  return get(value, "securityContext", member);
}

function ownPath({ path }: Container, ...members: string[]): (string | number)[] {
  return [...path, "securityContext", ...members];
}

/** A member that the container's security context or, where it does not say, the pod's has. */
function security(
  container: Container,
  { pod, podPath }: Server,
  member: string,
): { value: unknown; path: (string | number)[] } {
  const value = own(container, member);
  if (value !== undefined) return { value, path: ownPath(container, member) };
  const ofPod = get(pod, "securityContext", member);
  return ofPod === undefined
    ? { value, path: ownPath(container) }
    : { value: ofPod, path: [...podPath, "spec", "securityContext", member] };
}

/** The ServiceAccount of a server, when it is among the input. */
export function accountOf({ object, serviceAccount }: Server, objects: readonly KubeObject[]): KubeObject | undefined {
  return objects.find(
    ({ kind, name, namespace }) =>
      kind === "ServiceAccount" && name === serviceAccount && namespace === object.namespace,
  );
}

function isBindingOf(binding: KubeObject, { object, serviceAccount }: Server): boolean {
  if (binding.kind !== "RoleBinding" && binding.kind !== "ClusterRoleBinding") return false;
  return list(binding.value.subjects).some((subject) => {
    const { kind, name, namespace } = record(subject);
    if (kind === "Group")
      return (
        name === "system:serviceaccounts" ||
        name === `system:serviceaccounts:${object.namespace}` ||
        name === "system:authenticated"
      );
    return (
      kind === "ServiceAccount" &&
      name === serviceAccount &&
      (text(namespace) || binding.namespace) === object.namespace
    );
  });
}

/** What is too much in the role of a binding; undefined when nothing is, or the role is not among the input. */
function broadRight(binding: KubeObject, objects: readonly KubeObject[]): string | undefined {
  const { kind, name } = record(binding.value.roleRef);
  if (BROAD_ROLES.has(text(name))) return `found the role ${name}, expected one of the server's own`;
  const role = objects.find(
    (object) =>
      object.kind === kind &&
      object.name === name &&
      (kind === "ClusterRole" || object.namespace === binding.namespace),
  );
  for (const rule of list(role?.value.rules)) {
    const [verbs, resources] = [texts(get(rule, "verbs")), texts(get(rule, "resources"))];
    if (!isRecord(rule)) continue;
    if (verbs.includes("*") || resources.includes("*"))
      return `found * in a rule of ${kind} ${name}, expected verbs and resources by name`;
    if (resources.includes("secrets") && texts(rule.resourceNames).length === 0)
      return `found all secrets in a rule of ${kind} ${name}, expected resourceNames`;
  }
  return undefined;
}
