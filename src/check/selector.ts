// Label selectors, as Kubernetes and Istio match them.
import { get, list, record, strings, text, texts } from "./kube-object.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether labels have all that `matchLabels` (or a plain selector) names. An empty one matches all. */
export function matchesLabels(wanted: unknown, labels: Labels): boolean {
  return Object.entries(record(wanted)).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
}

/** Whether a Kubernetes label selector (`matchLabels`, `matchExpressions`) matches. An empty one matches all. */
export function matchesSelector(selector: unknown, labels: Labels): boolean {
  if (!matchesLabels(get(selector, "matchLabels"), labels)) return false;
  return list(get(selector, "matchExpressions")).every((expression) => {
    const key = text(get(expression, "key"));
    const has = Object.hasOwn(labels, key);
    const isListed = has && texts(get(expression, "values")).includes(labels[key] ?? "");
    switch (get(expression, "operator")) {
      case "In":
        return isListed;
      case "NotIn":
        return !isListed;
      case "Exists":
        return has;
      case "DoesNotExist":
        return !has;
      default:
        return false;
    }
  });
}

/** Whether a selector chooses nothing in particular. */
export function isEmptySelector(selector: unknown): boolean {
  const named =
    Object.keys(strings(get(selector, "matchLabels"))).length + list(get(selector, "matchExpressions")).length;
  return named === 0;
}
