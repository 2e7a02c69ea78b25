// The containers of what a server sends that are looked into (docs/responses.md).

/** The containers of a server's message that are looked into. */
export const enum ServerPlace {
  /** Nothing in it matters. */
  None,
  /** Left out, or replaced when it ends. */
  Dropped,

  // Objects.
  Message,
  /** `result`, `params`, `result.result`. */
  Result,
  Error,
  ErrorData,
  Completion,
  ServerInfo,
  PromptMessage,
  Tool,
  ToolMeta,
  ToolUi,
  ToolAnnotations,
  Prompt,
  Resource,
  Template,
  Task,
  Contents,
  Block,
  Icon,
  Elicitation,
  InputRequest,

  // Containers whose elements stay or go, one by one. From here on; see `isRebuilt`.
  Batch,
  InputRequests,
  Tools,
  Prompts,
  Resources,
  Templates,
  Tasks,
  ContentsList,
  Values,
  Blocks,
  Icons,
  PromptMessages,
  Elicitations,
}

/** Whether the elements of a container are kept or dropped one by one. */
export function isRebuilt(place: ServerPlace): bool {
  return place >= ServerPlace.Batch && place <= ServerPlace.Elicitations;
}

/** Whether a container is an element of a list of announcements, in which no text may hide. */
export function isAnnouncement(place: ServerPlace): bool {
  return (
    place == ServerPlace.Tool ||
    place == ServerPlace.Prompt ||
    place == ServerPlace.Resource ||
    place == ServerPlace.Template
  );
}

/** Whether the elements of a list have names, each of which may stand there once. */
export function isNamed(place: ServerPlace): bool {
  return place == ServerPlace.Tools || place == ServerPlace.Prompts;
}

/** Whether a list announces what a client can ask for. */
export function isListing(place: ServerPlace): bool {
  return place >= ServerPlace.Tools && place <= ServerPlace.Templates;
}
