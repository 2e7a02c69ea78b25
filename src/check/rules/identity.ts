// Point 2: does the service account follow least privilege? The account of the workload, its rights in Kubernetes, and what its pods may do on their
// node. The role in AWS is in role.ts.
import { hasCredentialForm, isCredential, isCredentialName } from "../credential.ts";
import { get, isRecord, type KubeObject, list, objectName, record, text, texts } from "../kube-object.ts";
import { type Hit, hit, type Rule } from "../rule.ts";
import { type Container, PROXY_CONTAINER } from "../workload.ts";
import type { Server } from "../world.ts";

/** The user of Istio's proxy. */
const PROXY_USER = 1337;
const ROOT_USER = 0;
/** The digest is the mesh's to choose: what stands for it here is never shown. */
const PINNED_BY_INJECTION = `auto@sha256:${"0".repeat(64)}`;
const BROAD_ROLES = new Set(["cluster-admin", "admin", "edit"]);
/** What injection gives to the container `istio-proxy` where it does not say otherwise itself. */
const INJECTED = {
  image: "auto",
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  resources: { limits: { memory: "1Gi" } },
};

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
          const name = text(get(variable, "name"));
          if (isCredential(name, text(get(variable, "value"))))
            yield hit(object, [...path, "env", index], `found a literal value in ${name}, expected none`);
        }
        for (const member of ["command", "args"]) {
          const words = texts(value[member]);
          for (const [index, word] of words.entries()) {
            const option = credentialOption(word, words[index - 1]);
            if (option !== undefined)
              yield hit(object, [...path, member, index], `found a literal value for ${option}, expected none`);
          }
        }
      },
    },
  ]),
  {
    id: "configmap-credential",
    questions: ["identity"],
    why: "A ConfigMap is for whoever may read the namespace, and a credential in it is one that lasts and acts for nobody in particular.",
    mend: "Take credentials from the workload's identity: IRSA or Pod Identity for AWS, token exchange for others.",
    *check(server, { objects }) {
      const names = configMapsOf(server);
      for (const map of objects) {
        if (map.kind !== "ConfigMap" || map.namespace !== server.object.namespace || !names.has(map.name)) continue;
        for (const [key, value] of Object.entries(record(map.value.data))) {
          if (isCredential(key, text(value)))
            yield hit(map, ["data", key], `found a literal value in ${key}, expected none`);
        }
      }
    },
  },
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
      for (const container of server.containers) yield* check(completed(container), server);
    },
  }));
}

/**
 * A container as it will run. Injection completes one with the name of the proxy and the image `auto`, so what that one leaves out is not missing;
 * what it says is looked at as anywhere.
 */
function completed(container: Container): Container {
  const { name, value } = container;
  if (name !== PROXY_CONTAINER || value.image !== INJECTED.image) return container;
  const context = { ...INJECTED.securityContext, ...record(value.securityContext) };
  const resources = isRecord(value.resources) ? value.resources : INJECTED.resources;
  return { ...container, value: { ...value, image: PINNED_BY_INJECTION, securityContext: context, resources } };
}

/** The option whose value a word of a command line is, or has behind `=`, when that is a credential. */
function credentialOption(word: string, before: string | undefined): string | undefined {
  const [, option, value] = /^-{0,2}([A-Za-z][\w.-]*)=(.*)$/s.exec(word) ?? [];
  if (option !== undefined && value !== undefined) return isCredential(option, value) ? option : undefined;
  const [, flag = ""] = /^--?([A-Za-z][\w.-]*)$/.exec(before ?? "") ?? [];
  if (flag !== "" && !word.startsWith("-") && isCredential(flag, word)) return flag;
  return hasCredentialForm(word) ? "an argument" : undefined;
}

/** The names of the ConfigMaps that a server's pods take, as variables or as files. */
function configMapsOf({ containers, pod }: Server): Set<string> {
  const variables = containers.flatMap(({ value }) => [
    ...list(value.envFrom).map((from) => get(from, "configMapRef", "name")),
    ...list(value.env).map((variable) => get(variable, "valueFrom", "configMapKeyRef", "name")),
  ]);
  const volumes = list(pod.volumes).flatMap((volume) => [
    get(volume, "configMap", "name"),
    ...list(get(volume, "projected", "sources")).map((source) => get(source, "configMap", "name")),
  ]);
  return new Set(texts([...variables, ...volumes]));
}

/** The credentials that the server's own containers get from Secrets, for the answer to the question; empty when its guards exchange tokens. */
export function credentialNote({ containers, guards }: Server): string {
  if (guards.length > 0 && guards.every(({ policy }) => policy?.authorization === "exchange")) return "";
  const names = containers
    .filter(({ name }) => name !== PROXY_CONTAINER)
    .flatMap(({ value }) => list(value.env))
    .filter((variable) => get(variable, "valueFrom", "secretKeyRef") !== undefined)
    .map((variable) => text(get(variable, "name")))
    .filter(isCredentialName);
  if (names.length === 0) return "";
  return `has ${names.join(", ")} from a Secret: what the server does with that it does as itself, whoever calls`;
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
