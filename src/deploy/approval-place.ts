// Where the approval service is: as the policy's cluster says, or where deploy/istio/approval-service puts it.

/** A Service of the cluster, with its port for guards. */
export interface ApprovalPlace {
  readonly namespace: string;
  /** The full name of its Service. */
  readonly host: string;
  readonly port: number;
  /** The label `app` of its pods, which is taken to be the name of the Service. */
  readonly app: string;
}

/** What deploy/istio/approval-service is called. */
export const APPROVAL_PLACE: ApprovalPlace = {
  namespace: "approval",
  host: "approval.approval.svc.cluster.local",
  port: 8081,
  app: "approval",
};

const PORT_MAX = 65_535;
/** Istio's name for a port of a Service, without a subset: `outbound|<port>||<Service>.<namespace>.svc.<domain>`. */
const CLUSTER = /^outbound\|(\d{1,5})\|\|(([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.[a-z0-9-]+)+)$/;

/** The Service that one of Envoy's clusters leads to; undefined when Istio makes no such cluster of a Service. */
export function placeOfCluster(cluster: string): ApprovalPlace | undefined {
  const [, port = "", host = "", app = "", namespace = ""] = CLUSTER.exec(cluster) ?? [];
  if (host === "" || Number(port) < 1 || Number(port) > PORT_MAX) return undefined;
  return { namespace, host, port: Number(port), app };
}

/** The member `approval`, as far as it is looked at before the filter judges it. */
interface ApprovalMember {
  readonly mode?: unknown;
  readonly server?: unknown;
  readonly service?: { readonly cluster?: unknown; readonly path?: unknown; readonly secret_env?: unknown };
}

function memberOf(policy: object): ApprovalMember | undefined {
  const { approval } = policy as { approval?: ApprovalMember };
  return typeof approval === "object" && approval !== null && approval.mode === "required" ? approval : undefined;
}

/** Whether the policy asks for approvals. */
export function asksForApproval(policy: object): boolean {
  return memberOf(policy) !== undefined;
}

/** The variable of the proxy that has the secret for the service; undefined when the policy names none. */
export function secretVariable(policy: object): unknown {
  return memberOf(policy)?.service?.secret_env;
}

/** The paths that the guard asks; the filter judges whether the policy's is one. */
export function approvalPaths(policy: object): string[] {
  const path = memberOf(policy)?.service?.path;
  return ["open", "poll", "claim"].map((call) => `${typeof path === "string" ? path : "/v1"}/${call}`);
}

/** Where the policy asks; undefined when it does not, or in a place that is no Service of the cluster. */
export function approvalPlace(policy: object): ApprovalPlace | undefined {
  const approval = memberOf(policy);
  if (approval === undefined) return undefined;
  const cluster = approval.service?.cluster;
  if (cluster === undefined) return APPROVAL_PLACE;
  return typeof cluster === "string" ? placeOfCluster(cluster) : undefined;
}

/** The policy with the name of the server and the place of the service in it, where it leaves them out. */
export function withApprovalPlace(server: string, policy: object): object {
  const approval = memberOf(policy);
  const place = approvalPlace(policy);
  if (approval === undefined) return policy;
  if (place === undefined) return { ...policy, approval: { server, ...approval } };
  const { host, port } = place;
  const service = { cluster: `outbound|${port}||${host}`, authority: `${host}:${port}`, ...approval.service };
  return { ...policy, approval: { server, ...approval, service } };
}
