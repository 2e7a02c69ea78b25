// Messages of servers: each row of the table "What is looked at in a message" of docs/responses.md, kept and not kept, in each
// place where it is looked at, and what could hide a row from one reader and show it to another.

import {
  answer,
  body,
  cutAfter,
  deniedCall,
  faulty,
  jsonOutcome,
  orCut,
  passes,
  type ResponseVector,
  refusal,
  refusedAnswer,
  response,
  serverCall,
} from "./responses-vector.ts";

/** A result that becomes another one. */
const result = (row: string, name: string, given: string, seen = given, changes?: Parameters<typeof passes>[4]) =>
  passes(row, name, answer(given), answer(seen), changes);

const SAFE = '{"name":"safe","inputSchema":{"type":"object"}}';
const OTHER = '{"name":"other","description":"d"}';
const EVIL = '{"name":"evil","inputSchema":{"type":"object"}}';
const LISTS = `{"tools":[${EVIL},${SAFE}]}`;
const LISTS_SEEN = `{"tools":[${SAFE}]}`;

const PLACES: readonly ResponseVector[] = [
  ...result("places", "the result of an answer", LISTS, LISTS_SEEN),
  ...result("places", "the result of a task", `{"result":${LISTS}}`, `{"result":${LISTS_SEEN}}`),
  ...result(
    "places",
    "results of results",
    `{"x":1,"result":{"result":{"result":${LISTS}},"tools":[${EVIL}]}}`,
    `{"x":1,"result":{"result":{"result":${LISTS_SEEN}},"tools":[]}}`,
  ),
  ...passes(
    "places",
    "the params of a call",
    serverCall("notifications/message", LISTS),
    serverCall("notifications/message", LISTS_SEEN),
  ),
  ...passes(
    "places",
    "the result in the params of a call",
    serverCall("notifications/tasks", `{"taskId":"t","result":${LISTS}}`),
    serverCall("notifications/tasks", `{"taskId":"t","result":${LISTS_SEEN}}`),
    { policy: { tasks: "allow" } },
  ),
  ...result(
    "places",
    "the params of an input request",
    `{"inputRequests":{"a":{"method":"sampling/createMessage","params":${LISTS}}}}`,
    `{"inputRequests":{"a":{"method":"sampling/createMessage","params":${LISTS_SEEN}}}}`,
    { policy: { sampling: "allow" } },
  ),
  ...passes(
    "places",
    "the params before the method",
    `{"params":${LISTS},"jsonrpc":"2.0","method":"notifications/message"}`,
    `{"params":${LISTS_SEEN},"jsonrpc":"2.0","method":"notifications/message"}`,
  ),
  ...passes(
    "places",
    "the result before the id",
    `{"result":${LISTS},"id":1,"jsonrpc":"2.0"}`,
    `{"result":${LISTS_SEEN},"id":1,"jsonrpc":"2.0"}`,
  ),
  ...passes(
    "places",
    "another id",
    `{"jsonrpc":"2.0","id":"x","result":${LISTS}}`,
    `{"jsonrpc":"2.0","id":"x","result":${LISTS_SEEN}}`,
  ),
  response("places", "no version", `{"result":${LISTS}}`, {
    kind: "json",
    outcomes: [jsonOutcome(`{"result":${LISTS_SEEN}}`)],
  }),
  ...passes(
    "places",
    "a result next to an error",
    `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"},"result":${LISTS}}`,
    `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"},"result":${LISTS_SEEN}}`,
  ),
  ...passes(
    "places",
    "escaped member names",
    `{"jsonrpc":"2.0","\\u0072esult":{"\\u0074ools":[{"na\\u006de":"evil"},{"na\\u006de":"s\\u0061fe"}]}}`,
    '{"jsonrpc":"2.0","result":{"tools":[{"name":"safe"}]}}',
  ),
  ...result("places", "a result that is no object", `[{"tools":[{"name":"x"}]}]`),
  ...result("places", "not looked at: structured content", `{"structuredContent":{"tools":[{"name":"x"}]}}`),
  ...result("places", "not looked at: a list in a list", `{"x":[{"tools":[{"name":"x"}]}]}`),
  ...result("places", "an empty result", "{}"),
  // Whatever was filtered before at the same depth, a list that nobody looks at stays whole.
  ...result("places", "a list behind a content list", '{"content":[{"type":"text"}],"s":[{"a":1}],"t":[[{"a":1}]]}'),
  ...result("places", "a list behind icons", '{"serverInfo":{"icons":[]},"s":[[{"a":false,"b":1}]],"t":{"u":[[1]]}}'),
  ...passes(
    "places",
    "a list behind the result",
    '{"jsonrpc":"2.0","result":{"tools":[{"name":"safe"}],"contents":[]},"s":{"t":[{"a":[1]}]}}',
  ),
  ...result(
    "places",
    "several lists",
    `{"prompts":[{"name":"evil"},{"name":"greet"}],"tools":[${SAFE}],"resources":[{"uri":"file:///etc/x"},{"uri":"file:///docs/a"}]}`,
    `{"prompts":[{"name":"greet"}],"tools":[${SAFE}],"resources":[{"uri":"file:///docs/a"}]}`,
    { hides: ["evil", "/etc/"] },
  ),
];

const NAMED: readonly ResponseVector[] = [
  ...result("tools", "only listed", `{"tools":[${SAFE},${OTHER}]}`),
  ...result("tools", "none listed", `{"tools":[${EVIL},${EVIL}]}`, '{"tools":[]}'),
  ...result("tools", "an empty list", '{"tools":[]}'),
  ...result(
    "tools",
    "order, cursor and unknown members stay",
    `{"a":1.50,"tools":[${OTHER},${EVIL},${SAFE}],"nextCursor":"n","z":[ 1e2 ]}`,
    `{"a":1.50,"tools":[${OTHER},${SAFE}],"nextCursor":"n","z":[1e2]}`,
  ),
  ...result(
    "tools",
    "what describes a tool stays",
    `{"tools":[{"title":"t","annotations":{"readOnlyHint":true,"x":[0.10,null,{}]},"inputSchema":{"type":"object","properties":{"name":{"x-mcp-header":"N"}}},"name":"safe"}]}`,
  ),
  ...result(
    "tools",
    "elements that are no objects",
    `{"tools":[null,"safe",1,true,["safe"],[${SAFE}],${SAFE}]}`,
    LISTS_SEEN,
  ),
  ...result(
    "tools",
    "names that are no strings",
    '{"tools":[{"name":["safe"]},{"name":{"name":"safe"}},{"name":null},{"name":1},{"x":"safe"},{}]}',
    '{"tools":[]}',
  ),
  ...result(
    "tools",
    "a name further inside",
    '{"tools":[{"x":{"name":"safe"}},{"name":"evil","x":{"name":"safe"}}]}',
    '{"tools":[]}',
  ),
  ...["{}", '"safe"', "null", "1", "true", `{"a":${SAFE}}`, `{"name":"safe"}`].flatMap((list) =>
    result("tools", `the list is ${list}`, `{"tools":${list},"x":1}`, '{"tools":[],"x":1}'),
  ),
  ...[
    '"Safe"',
    '"safe "',
    '" safe"',
    '"safe\\u0000"',
    '"safe\\u200b"',
    '"s\u0430fe"',
    '"\\u017fafe"',
    '"sa"',
    '"safer"',
    '""',
    '"\uff53afe"',
  ].flatMap((name) =>
    result("threats 29", `a look-alike: ${JSON.stringify(name)}`, `{"tools":[{"name":${name}},${SAFE}]}`, LISTS_SEEN),
  ),
  ...result("threats 29", "two of one name", `{"tools":[${SAFE},${OTHER},${SAFE}]}`, `{"tools":[${OTHER}]}`),
  ...result("threats 29", "two of one name, one after the other", `{"tools":[${SAFE},${SAFE}]}`, '{"tools":[]}'),
  ...result(
    "threats 29",
    "three of one name",
    `{"tools":[${SAFE},{"name":"safe"},${OTHER},${SAFE}]}`,
    `{"tools":[${OTHER}]}`,
  ),
  ...result(
    "threats 29",
    "two of one name, one escaped",
    `{"tools":[${SAFE},{"name":"\\u0073af\\u0065"},${OTHER}]}`,
    `{"tools":[${OTHER}]}`,
  ),
  ...result("threats 29", "two pairs", `{"tools":[${SAFE},${OTHER},${OTHER},${SAFE}]}`, '{"tools":[]}'),
  ...result("threats 29", "one name in two lists", `{"tools":[${SAFE}],"result":{"tools":[${SAFE}]}}`),
  ...result(
    "tools",
    "a listed name of strange characters",
    '{"tools":[{"name":"a\\u200b\\"\\\\b"}]}',
    '{"tools":[{"name":"a\u200b\\"\\\\b"}]}',
    { policy: { tool_allowlist: ['a\u200b"\\b'] } },
  ),
  ...result("tools", "no tool is listed", `{"tools":[${SAFE}]}`, '{"tools":[]}', { policy: { tool_allowlist: [] } }),
  ...result(
    "field-lessons/6.2 annotations",
    "annotations are neither lost nor replaced",
    '{"tools":[{"name":"safe","annotations":{"destructiveHint":true,"title":"\\u00e9"}}]}',
  ),
  ...result(
    "prompts",
    "listed and not",
    '{"prompts":[{"name":"evil"},{"name":"greet","arguments":[{"name":"x"}]},{"name":"safe"}]}',
    '{"prompts":[{"name":"greet","arguments":[{"name":"x"}]}]}',
  ),
  ...result(
    "prompts",
    "two of one name",
    '{"prompts":[{"name":"greet"},{"name":"sum"},{"name":"greet"}]}',
    '{"prompts":[{"name":"sum"}]}',
  ),
  ...result("prompts", "no list", '{"prompts":{"greet":{"name":"greet"}}}', '{"prompts":[]}'),
  ...result("prompts", "no prompt is listed", '{"prompts":[{"name":"greet"}]}', '{"prompts":[]}', {
    policy: { prompt_allowlist: [] },
  }),
  ...result(
    "prompts",
    "elements that are no objects",
    '{"prompts":["greet",{"name":["greet"]},null]}',
    '{"prompts":[]}',
  ),
];

const BAD_URIS = [
  "file:///etc/passwd",
  "file:///docs/../etc/passwd",
  "file:///docs/%2e%2e/etc/passwd",
  "file:///docs/..%2fetc/",
  "FILE:///docs/a",
  "file:/docs/a",
  "file://localhost/docs/a",
  "file:///docsx/a",
  "http://10.0.0.1/",
  "docs/a",
  "",
  "file:///docs/a b",
  "file:///docs/%61",
];

const URIS: readonly ResponseVector[] = [
  ...result(
    "resources",
    "under a root and not",
    `{"resources":[${BAD_URIS.map((uri) => `{"uri":"${uri}","name":"n"}`).join(",")},{"name":"n","uri":"file:///docs/a.txt","size":1},{"uri":"file:\\/\\/\\/docs\\/b"}]}`,
    '{"resources":[{"name":"n","uri":"file:///docs/a.txt","size":1},{"uri":"file:///docs/b"}]}',
    { hides: ["/etc/", "10.0.0.1"] },
  ),
  ...result("resources", "two of one URI", '{"resources":[{"uri":"file:///docs/a"},{"uri":"file:///docs/a"}]}'),
  ...result(
    "resources",
    "wrong types",
    '{"resources":[{"uri":["file:///docs/a"]},{"uri":null},{},"file:///docs/a",null,["file:///docs/a"]]}',
    '{"resources":[]}',
  ),
  ...result("resources", "no list", '{"resources":{"uri":"file:///docs/a"}}', '{"resources":[]}'),
  ...result(
    "resources",
    "no roots",
    '{"resources":[{"uri":"file:///docs/a"},{"uri":"https://h/x"}]}',
    '{"resources":[]}',
    { policy: { resource_roots: [] } },
  ),
  ...result(
    "resources",
    "segment",
    '{"resources":[{"uri":"file:///docs/a..b"},{"uri":"file:///docs/../b"}]}',
    '{"resources":[{"uri":"file:///docs/a..b"}]}',
    { policy: { uri_traversal: "segment" } },
  ),
  ...result(
    "resources",
    "a long URI",
    `{"resources":[{"uri":"file:///docs/${"a".repeat(4083)}"},{"uri":"file:///docs/${"b".repeat(4084)}"}]}`,
    `{"resources":[{"uri":"file:///docs/${"a".repeat(4083)}"}]}`,
  ),
  ...result(
    "resourceTemplates",
    "under a root and not",
    '{"resourceTemplates":[{"uriTemplate":"file:///docs/{x}"},{"uriTemplate":"file:///{x}"},{"uriTemplate":"file:///docs{x}"},{"uriTemplate":"{x}"},{"uriTemplate":"file:///docs/../{x}"},{"uriTemplate":"file:///docs/a/{+p}","name":"n"},{"uri":"file:///docs/{x}"},{"uriTemplate":1},null]}',
    '{"resourceTemplates":[{"uriTemplate":"file:///docs/{x}"},{"uriTemplate":"file:///docs/a/{+p}","name":"n"}]}',
  ),
  ...result("resourceTemplates", "no list", '{"resourceTemplates":"x"}', '{"resourceTemplates":[]}'),
  ...result("tasks", "denied", '{"tasks":[{"taskId":"t"},1],"nextCursor":"n"}', '{"tasks":[],"nextCursor":"n"}'),
  ...result("tasks", "allowed", '{"tasks":[{"taskId":"t"},{"taskId":"u"}]}', undefined, { policy: { tasks: "allow" } }),
  ...result("tasks", "no object, allowed", '{"tasks":[1,{"taskId":"t"},"u",[]]}', '{"tasks":[{"taskId":"t"}]}', {
    policy: { tasks: "allow" },
  }),
  ...result("tasks", "no list, allowed", '{"tasks":{"taskId":"t"}}', '{"tasks":[]}', { policy: { tasks: "allow" } }),
  ...result("tasks", "no list", '{"tasks":{"taskId":"t"}}', '{"tasks":[]}'),
  ...result(
    "contents",
    "under a root",
    '{"contents":[{"uri":"file:///docs/a","text":"evi\\u006c"},{"text":"t","mimeType":"m","uri":"file:///docs/b"}]}'.replace(
      "evi\\u006c",
      "x",
    ),
  ),
  ...result("contents", "none", '{"contents":[]}'),
  ...result("contents", "no list", '{"contents":{"uri":"file:///etc/evil"}}', '{"contents":[]}'),
  ...BAD_URIS.flatMap((uri) =>
    refusedAnswer(
      "contents",
      `the URI ${JSON.stringify(uri)}`,
      answer(`{"contents":[{"uri":"${uri}","text":"evil"}]}`),
      ["resource_not_listed", "uri_traversal", "uri_malformed"],
    ),
  ),
  ...refusedAnswer(
    "contents",
    "the reason for what is under no root",
    answer('{"contents":[{"uri":"file:///etc/x"}]}'),
    "resource_not_listed",
  ),
  ...refusedAnswer(
    "contents",
    "the second one under no root",
    answer('{"contents":[{"uri":"file:///docs/a","text":"t"},{"uri":"file:///etc/x","text":"evil"}]}'),
    "resource_not_listed",
  ),
  ...refusedAnswer(
    "contents",
    "the text before the URI",
    answer('{"contents":[{"text":"evil","uri":"file:///etc/x"}]}'),
    "resource_not_listed",
  ),
  ...["null", '"file:///docs/a"', '["file:///docs/a"]', "{}", '{"uri":["file:///docs/a"]}', '{"uri":null}'].flatMap(
    (each) =>
      refusedAnswer("contents", `an element ${each}`, answer(`{"contents":[${each}]}`), [
        "resource_not_listed",
        "uri_malformed",
        "response_invalid",
      ]),
  ),
  ...refusedAnswer(
    "contents",
    "of a task",
    answer('{"result":{"contents":[{"uri":"file:///etc/x"}]}}'),
    "resource_not_listed",
  ),
  ...passes(
    "contents",
    "the id of the answer is text",
    '{"jsonrpc":"2.0","id":"a\\"b","result":{"contents":[{"uri":"file:///etc/x"}]}}',
    refusal("resource_not_listed", '"a\\"b"'),
  ),
  ...passes(
    "contents",
    "the id behind the result",
    '{"jsonrpc":"2.0","result":{"contents":[{"uri":"file:///etc/x"}]},"id":1}',
    refusal("resource_not_listed", "1", undefined),
  ),
  ...deniedCall(
    "contents",
    "of a call",
    serverCall("notifications/message", '{"contents":[{"uri":"file:///etc/evil"}]}'),
  ),
  ...passes(
    "contents",
    "of a call, under a root",
    serverCall("notifications/message", '{"contents":[{"uri":"file:///docs/a"}]}'),
  ),
  ...result(
    "contents",
    "of an input request",
    '{"inputRequests":{"a":{"method":"roots/list","params":{"contents":[{"uri":"file:///etc/evil"}]}},"b":{"method":"roots/list","params":{}}}}',
    '{"inputRequests":{"b":{"method":"roots/list","params":{}}}}',
  ),
];

const VALUES = '["a","..","../x","a/b","/abs","%2e%2e","","x y",1,null,["a"],{"a":"b"}]';

const CONTENT: readonly ResponseVector[] = [
  ...result(
    "completion",
    "of a resource",
    `{"completion":{"values":${VALUES},"total":3,"hasMore":false}}`,
    '{"completion":{"values":["a","a/b","","x y"],"total":3,"hasMore":false}}',
    { hides: ["..", "/abs"] },
  ),
  body(
    "completion",
    "of a prompt",
    answer('{"completion":{"values":["a","..","/abs"]}}'),
    [answer('{"completion":{"values":["a","..","/abs"]}}')],
    { exchange: { completesPrompt: true } },
  ),
  ...result(
    "completion",
    "no list",
    '{"completion":{"values":"..","total":1}}',
    '{"completion":{"values":[],"total":1}}',
  ),
  ...result(
    "completion",
    "the values behind the rest",
    '{"completion":{"total":1,"values":["..","b"]},"x":1}',
    '{"completion":{"total":1,"values":["b"]},"x":1}',
  ),
  ...(() => {
    const removed = '{"type":"text","text":"[removed by policy: uri_not_allowed]"}';
    const link = (uri: string, more = ""): string => `{"type":"resource_link","uri":"${uri}","name":"n"${more}}`;
    const bad = [
      "http://10.0.0.1/evil",
      "javascript:evil",
      "file:///etc/evil",
      "https://h/../evil",
      "HTTPS://h/evil",
      "data:text/html,evil",
      "evil",
      "https://u@h/evil",
    ];
    const good = [
      link("https://docs.example/a"),
      link("file:///docs/a"),
      '{"type":"text","text":"t"}',
      '{"type":"resource","resource":{"uri":"file:///x","text":"t"}}',
      '{"type":"image","data":"aGk=","mimeType":"image/png"}',
      '{"uri":"http://h/","type":"video"}',
    ];
    return [
      ...result("content", "blocks that stay", `{"content":[${good.join(",")}],"isError":false}`),
      ...bad.flatMap((uri) =>
        result(
          "threats 51",
          `a link to ${uri}`,
          `{"content":[{"type":"text","text":"t"},${link(uri)}]}`,
          `{"content":[{"type":"text","text":"t"},${removed}]}`,
        ),
      ),
      ...result(
        "threats 51",
        "a link with the URI first",
        '{"content":[{"uri":"http://h/evil","name":"n","type":"resource_link"}]}',
        `{"content":[${removed}]}`,
      ),
      ...result(
        "threats 51",
        "an escaped type",
        '{"content":[{"type":"resource\\u005flink","uri":"http://h/evil"}]}',
        `{"content":[${removed}]}`,
      ),
      ...result(
        "threats 51",
        "a link without a URI",
        '{"content":[{"type":"resource_link"},{"type":"resource_link","uri":["https://h/"]},{"type":"resource_link","uri":null}]}',
        `{"content":[${removed},${removed},${removed}]}`,
      ),
      ...result(
        "content",
        "one block",
        `{"content":${link("http://h/evil")},"model":"m"}`,
        `{"content":${removed},"model":"m"}`,
      ),
      ...result("content", "one block that stays", `{"content":${good[0]},"model":"m"}`),
      ...result(
        "content",
        "elements that are no objects",
        `{"content":[1,"evil",null,["x"],${good[2]}]}`,
        `{"content":[${good[2]}]}`,
      ),
      ...result("content", "neither list nor object", '{"content":"evil"}', '{"content":[]}'),
      ...result(
        "content",
        "of a message, neither list nor object",
        '{"messages":[{"role":"user","content":"evil"},{"role":"user","content":7},{"role":"user","content":null}]}',
        '{"messages":[{"role":"user","content":[]},{"role":"user","content":[]},{"role":"user","content":[]}]}',
      ),
      ...result(
        "content",
        "of a tool's result in a message",
        `{"messages":[{"role":"user","content":[{"type":"tool_result","toolUseId":"1","content":[${good[0]},${link("http://h/evil")},{"type":"text","text":"t"}]}]}]}`,
        `{"messages":[{"role":"user","content":[{"type":"tool_result","toolUseId":"1","content":[${good[0]},${removed},{"type":"text","text":"t"}]}]}]}`,
      ),
      ...result(
        "content",
        "of a tool's result in a message, its type behind it",
        `{"messages":[{"content":{"content":[${link("http://h/evil")}],"type":"tool_result"}}]}`,
        `{"messages":[{"content":{"content":[${removed}],"type":"tool_result"}}]}`,
      ),
      ...result(
        "content",
        "of a tool's result in one in one",
        `{"content":[{"type":"tool_result","content":[{"content":[{"content":${link("http://h/evil")}}],"type":"tool_result"}]}]}`,
        `{"content":[{"type":"tool_result","content":[{"content":[{"content":${removed}}],"type":"tool_result"}]}]}`,
      ),
      ...result(
        "content",
        "of a tool's result, neither list nor object",
        '{"content":[{"type":"tool_result","content":"evil"}]}',
        '{"content":[{"type":"tool_result","content":[]}]}',
      ),
      ...result(
        "content",
        "of a link that goes",
        `{"content":[{"type":"resource_link","content":[${good[0]}],"uri":"http://h/evil"},{"content":[{"type":"resource_link","uri":"http://h/evil"}],"uri":"http://h/evil","type":"resource_link"}]}`,
        `{"content":[${removed},${removed}]}`,
      ),
      ...result(
        "content",
        "of a block, under a name that is nearly content",
        `{"content":[{"type":"tool_result","Content":[${link("http://h/evil")}]}]}`,
        `{"content":[${removed}]}`,
      ),
      ...result(
        "messages",
        "of a prompt",
        `{"messages":[{"role":"user","content":${link("http://h/evil")}},{"role":"user","content":[${good[0]},${link("http://h/evil")}]},{"role":"user","content":{"type":"text","text":"t"}}],"description":"d"}`,
        `{"messages":[{"role":"user","content":${removed}},{"role":"user","content":[${good[0]},${removed}]},{"role":"user","content":{"type":"text","text":"t"}}],"description":"d"}`,
      ),
      ...result(
        "messages",
        "elements that are no objects",
        '{"messages":[1,"evil",null,[1],{"role":"user"}]}',
        '{"messages":[{"role":"user"}]}',
      ),
      ...result("messages", "no list", '{"messages":{"content":{"type":"text"}}}', '{"messages":[]}'),
      ...passes(
        "messages",
        "of a sampling call",
        serverCall("sampling/createMessage", `{"messages":[{"content":${link("http://h/evil")}}],"maxTokens":10}`),
        serverCall("sampling/createMessage", `{"messages":[{"content":${removed}}],"maxTokens":10}`),
        { policy: { sampling: "allow" } },
      ),
      ...result(
        "response_uris",
        "schemes",
        `{"content":[${link("http://h/a")},${link("https://h/a")}]}`,
        `{"content":[${link("http://h/a")},${removed}]}`,
        { policy: { response_uris: { schemes: ["http"] } } },
      ),
      ...result(
        "response_uris",
        "hosts",
        `{"content":[${link("https://docs.example/a")},${link("https://docs.example:8443/a")},${link("https://docs.example.evil/")},${link("https://x.docs.example/")},${link("https://docs.example")},${link("https://docs.example?evil")},${link("https://evil/docs.example")},${link("https:docs.example")},${link("file:///docs/a")}]}`,
        `{"content":[${link("https://docs.example/a")},${removed},${removed},${removed},${link("https://docs.example")},${link("https://docs.example?evil")},${removed},${removed},${link("file:///docs/a")}]}`,
        { policy: { response_uris: { schemes: ["https"], hosts: ["docs.example"] } }, hides: ["8443", "evil/"] },
      ),
      ...result(
        "response_uris",
        "no schemes",
        `{"content":[${link("https://h/a")},${link("file:///docs/a")}]}`,
        `{"content":[${removed},${link("file:///docs/a")}]}`,
        { policy: { response_uris: { schemes: [] } } },
      ),
    ];
  })(),
];

const ICONS_GIVEN =
  '[{"src":"https://h/i.png"},{"src":"http://10.0.0.1/evil"},{"src":"javascript:evil"},{"src":"data:image/png;base64,aGk="},{"sizes":["1x1"]},"https://h/",{"src":["https://h/"]},{"sizes":"x","src":"file:///docs/i.png"}]';
const ICONS_SEEN =
  '[{"src":"https://h/i.png"},{"src":"data:image/png;base64,aGk="},{"sizes":"x","src":"file:///docs/i.png"}]';

const REST: readonly ResponseVector[] = [
  ...(
    [
      ["a tool", (icons: string) => `{"tools":[{"name":"safe","icons":${icons}}]}`],
      ["a tool, before its name", (icons: string) => `{"tools":[{"icons":${icons},"name":"safe"}]}`],
      ["a prompt", (icons: string) => `{"prompts":[{"name":"greet","icons":${icons}}]}`],
      ["a resource", (icons: string) => `{"resources":[{"icons":${icons},"uri":"file:///docs/a"}]}`],
      ["a template", (icons: string) => `{"resourceTemplates":[{"uriTemplate":"file:///docs/{a}","icons":${icons}}]}`],
      ["the server", (icons: string) => `{"serverInfo":{"name":"s","icons":${icons},"version":"1"}}`],
      [
        "a content block",
        (icons: string) => `{"content":[{"type":"resource_link","uri":"https://h/","icons":${icons}}]}`,
      ],
      [
        "a single content block",
        (icons: string) => `{"content":{"icons":${icons},"type":"resource_link","uri":"https://h/"}}`,
      ],
    ] as const
  ).flatMap(([name, given]) => [
    ...result("threats 51", `icons of ${name}`, given(ICONS_GIVEN), given(ICONS_SEEN)),
    ...result("icons", `no list: ${name}`, given('{"src":"http://evil/"}'), given("[]")),
  ]),
  ...(
    ['{"ui":{"resourceUri":"@"}}', '{"ui/resourceUri":"@"}', '{"x":1,"ui":{"csp":{},"resourceUri":"@"}}'] as const
  ).flatMap((meta) => [
    ...result(
      "_meta",
      `an allowed URI in ${meta}`,
      `{"tools":[{"name":"safe","_meta":${meta.replace("@", "https://h/ui")}},{"_meta":${meta.replace("@", "file:///docs/ui")},"name":"other"}]}`,
    ),
    ...result(
      "_meta",
      `another URI in ${meta}`,
      `{"tools":[{"name":"safe","_meta":${meta.replace("@", "ui://evil/x")}},{"_meta":${meta.replace("@", "http://evil/")},"name":"other"}]}`,
      '{"tools":[]}',
    ),
    ...result(
      "_meta",
      `a list in ${meta}`,
      `{"tools":[{"name":"safe","_meta":${meta.replace('"@"', '["http://evil/"]')}},${OTHER}]}`,
      `{"tools":[${OTHER}]}`,
    ),
  ]),
  ...result(
    "_meta",
    "without a URI",
    '{"tools":[{"name":"safe","_meta":{"ui":{"x":"http://h/"},"y":"ui://x"}},{"name":"other","_meta":1}]}',
  ),
  ...result(
    "_meta",
    "of a prompt is not looked at",
    '{"prompts":[{"name":"greet","_meta":{"ui":{"resourceUri":"ui://x"}}}]}',
  ),
  ...(['"public"', '"private"', "null", "1", '{"a":["public"]}', '["public"]'] as const).flatMap((scope) =>
    result(
      "field-lessons/6.2 cacheScope",
      `cacheScope ${scope}`,
      `{"tools":[],"cacheScope":${scope},"x":1}`,
      '{"tools":[],"cacheScope":"private","x":1}',
    ),
  ),
  ...(
    [
      ["0", "0"],
      ["1", "1"],
      ["60000", "60000"],
      ["60001", "60000"],
      ["60000.5", "60000"],
      ["1e3", "1e3"],
      ["1.5E+1", "1.5E+1"],
      ["1e-2", "1e-2"],
      ["1e5", "60000"],
      ["6e3", "6e3"],
      ["1e400", "60000"],
      ["0.9e5", "60000"],
      ["59999.9", "59999.9"],
      ["-1", "-1"],
      ["99999999999999999999", "60000"],
      ["6.1e4", "60000"],
    ] as const
  ).flatMap(([given, seen]) => result("ttlMs", `${given}`, `{"ttlMs":${given},"y":1}`, `{"ttlMs":${seen},"y":1}`)),
  ...passes(
    "ttlMs",
    "of a task and of a call",
    `{"jsonrpc":"2.0","method":"notifications/message","params":{"ttlMs":1e9,"result":{"ttlMs":70000,"cacheScope":"public"}}}`,
    `{"jsonrpc":"2.0","method":"notifications/message","params":{"ttlMs":60000,"result":{"ttlMs":60000,"cacheScope":"private"}}}`,
  ),
  ...result("ttlMs", "deeper ones are not looked at", '{"x":{"ttlMs":1e9,"cacheScope":"public"}}'),
  ...passes(
    "threats 51",
    "-32042 with URLs",
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://h/a","message":"m"},{"url":"http://10.0.0.1/evil"},{"url":"javascript:evil"},{"mode":"url"},"https://h/",{"url":["https://h/"]},{"message":"m","url":"https://h/b"}],"x":1}}}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://h/a","message":"m"},{"message":"m","url":"https://h/b"}],"x":1}}}',
  ),
  ...passes(
    "threats 51",
    "-32042 with no list",
    '{"jsonrpc":"2.0","id":1,"error":{"data":{"elicitations":{"url":"http://evil/"}},"code":-32042,"message":"m"}}',
    '{"jsonrpc":"2.0","id":1,"error":{"data":{"elicitations":[]},"code":-32042,"message":"m"}}',
  ),
  ...passes(
    "errors",
    "an ordinary error",
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no http://h/","data":["x",{"elicitations":[{"url":"http://h/"}]}]}}',
  ),
  ...passes("errors", "an error that is no object", '{"jsonrpc":"2.0","id":1,"error":"x"}'),
];

const CALLS_ALLOWED = [
  ...["ping", "notifications/cancelled", "notifications/progress", "notifications/message"],
  ...["notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed"],
  ...[
    "notifications/elicitation/complete",
    "notifications/subscriptions/acknowledged",
    "elicitation/create",
    "roots/list",
  ],
];
const CALLS_OF_TASKS = [
  "tasks/get",
  "tasks/result",
  "tasks/list",
  "tasks/cancel",
  "notifications/tasks",
  "notifications/tasks/status",
];
const CALLS_DENIED = [
  ...[
    "sampling/createMessage",
    "tools/call",
    "tools/list",
    "initialize",
    "vendor/evil",
    "Ping",
    "ping ",
    "",
    "notifications/x",
  ],
  ...["ping\u0000", "elicitation/Create", "tasks/update", "notifications/initialized", ...CALLS_OF_TASKS],
];

const CALLS: readonly ResponseVector[] = [
  ...CALLS_ALLOWED.flatMap((method) => passes("calls", `${method} passes`, serverCall(method, '{"x":"y"}'))),
  ...CALLS_DENIED.flatMap((method) =>
    deniedCall("threats 50", `${JSON.stringify(method)} is dropped`, serverCall(method, '{"x":"evil"}')),
  ),
  ...CALLS_OF_TASKS.flatMap((method) =>
    passes("calls", `${method} with tasks: allow`, serverCall(method, "{}"), undefined, { policy: { tasks: "allow" } }),
  ),
  ...passes("threats 50", "sampling: allow", serverCall("sampling/createMessage", '{"maxTokens":1}'), undefined, {
    policy: { sampling: "allow" },
  }),
  ...deniedCall("threats 50", "elicitation: deny", serverCall("elicitation/create", '{"message":"evil"}'), {
    policy: { elicitation: "deny" },
  }),
  ...deniedCall("threats 50", "roots: deny", serverCall("roots/list", '{"x":"evil"}'), { policy: { roots: "deny" } }),
  ...passes("calls", "a method of method_allowlist", serverCall("vendor/x", '{"x":1}'), undefined, {
    policy: { method_allowlist: ["vendor/x"] },
  }),
  ...passes(
    "calls",
    "escaped method",
    '{"jsonrpc":"2.0","m\\u0065thod":"pin\\u0067"}',
    '{"jsonrpc":"2.0","method":"ping"}',
  ),
  ...["null", "1", '["ping"]', '{"method":"ping"}', "true"].flatMap((method) =>
    deniedCall("calls", `the method is ${method}`, `{"jsonrpc":"2.0","id":5,"method":${method},"params":{"x":"evil"}}`),
  ),
  ...deniedCall(
    "calls",
    "the method behind params",
    `{"jsonrpc":"2.0","id":5,"params":{"x":"evil"},"method":"sampling/createMessage"}`,
  ),
  ...passes("calls", "no params", '{"jsonrpc":"2.0","id":5,"method":"ping"}'),
  ...passes(
    "threats 50",
    "elicitation of a form",
    serverCall("elicitation/create", '{"message":"m","requestedSchema":{"type":"object"}}'),
  ),
  ...passes(
    "threats 50",
    "elicitation with an allowed URL",
    serverCall("elicitation/create", '{"mode":"url","url":"https://h/a"}'),
  ),
  ...["http://10.0.0.1/evil", "javascript:evil", "https://h/../evil", "HTTPS://evil/", ""].flatMap((url) =>
    deniedCall(
      "threats 50",
      `elicitation with the URL ${JSON.stringify(url)}`,
      serverCall("elicitation/create", `{"mode":"url","url":"${url}"}`),
    ),
  ),
  ...deniedCall(
    "threats 50",
    "elicitation with a list of URLs",
    serverCall("elicitation/create", '{"url":["https://evil/"]}'),
  ),
  ...deniedCall(
    "threats 50",
    "elicitation whose URL stands before the method",
    '{"jsonrpc":"2.0","id":5,"params":{"url":"http://evil/"},"method":"elicitation/create"}',
  ),
  ...passes("threats 50", "the URL of another call", serverCall("notifications/message", '{"url":"http://h/"}')),
  ...passes(
    "threats 50",
    "the URL of another call, before its method",
    '{"params":{"url":"http://h/"},"method":"notifications/message","jsonrpc":"2.0"}',
  ),
  ...passes(
    "calls",
    "an update under a root",
    serverCall("notifications/resources/updated", '{"uri":"file:///docs/a"}'),
  ),
  ...["file:///etc/evil", "https://h/evil", "file:///docs/../evil"].flatMap((uri) =>
    deniedCall("calls", `an update of ${uri}`, serverCall("notifications/resources/updated", `{"uri":"${uri}"}`)),
  ),
  ...deniedCall(
    "calls",
    "an update of a list",
    serverCall("notifications/resources/updated", '{"uri":["file:///docs/a","evil"]}'),
  ),
  ...deniedCall(
    "calls",
    "an update before its method",
    '{"jsonrpc":"2.0","params":{"uri":"file:///etc/evil"},"method":"notifications/resources/updated"}',
  ),
  ...result(
    "threats 50",
    "input requests",
    `{"inputRequests":{"a":{"method":"sampling/createMessage","params":{"x":"evil"}},"b":{"method":"elicitation/create","params":{"url":"https://h/"}},"c":{"method":"elicitation/create","params":{"url":"http://evil/"}},"d":{"params":{"url":"http://evil/"},"method":"elicitation/create"},"e":1,"f":"evil","g":{"params":{}},"h":{"method":["ping"]},"i":{"method":"roots/list"}},"requestState":"s"}`,
    '{"inputRequests":{"b":{"method":"elicitation/create","params":{"url":"https://h/"}},"i":{"method":"roots/list"}},"requestState":"s"}',
  ),
  ...result(
    "threats 50",
    "input requests, all dropped",
    '{"inputRequests":{"evil":{"method":"sampling/createMessage"}},"x":1}',
    '{"inputRequests":{},"x":1}',
  ),
  ...result(
    "threats 50",
    "input requests, elicitation: deny",
    '{"inputRequests":{"a":{"method":"elicitation/create","params":{}}}}',
    '{"inputRequests":{}}',
    { policy: { elicitation: "deny" } },
  ),
  ...passes(
    "threats 50",
    "input requests in a call",
    serverCall("notifications/tasks", '{"inputRequests":{"a":{"method":"sampling/createMessage","x":"evil"}}}'),
    serverCall("notifications/tasks", '{"inputRequests":{}}'),
    { policy: { tasks: "allow" } },
  ),
  ...result(
    "threats 50",
    "input requests in an input request",
    '{"inputRequests":{"a":{"method":"ping","params":{"inputRequests":{"b":{"method":"sampling/createMessage","x":"evil"}},"result":{"tools":[{"name":"evil"}]}}}}}',
    '{"inputRequests":{"a":{"method":"ping","params":{"inputRequests":{},"result":{"tools":[]}}}}}',
  ),
];

const NEAR = (name: string): readonly string[] => [
  name.toUpperCase(),
  name[0]!.toUpperCase() + name.slice(1),
  `${name} `,
  ` ${name}`,
  `${name}\\u0000`,
  `\\u0009${name}`,
  `${name}\\u00a0`,
  `${name[0]}\\u200b${name.slice(1)}`,
  `\\ufeff${name}`,
  `${name.slice(0, 2)}\\u200d${name.slice(2)}`,
  ...(name.includes("s") ? [name.replace("s", "\\u017f"), name.replace("s", "\u017f")] : []),
  ...(name.includes("k") ? [name.replace("k", "\\u212a")] : []),
];

const NAMES: readonly ResponseVector[] = [
  ...["tools", "tasks", "contents", "result", "inputRequests"].flatMap((name) =>
    NEAR(name).flatMap((near) =>
      faulty("threats 3.2 near names", `"${near}" in a result`, answer(`{"${near}":[{"name":"evil"}]}`)),
    ),
  ),
  ...["method", "result", "params", "error"].flatMap((name) =>
    NEAR(name).flatMap((near) =>
      faulty(
        "threats 3.2 near names",
        `"${near}" in a message`,
        `{"jsonrpc":"2.0","id":1,"result":{},"${near}":{"tools":[{"name":"evil"}]}}`,
      ),
    ),
  ),
  ...faulty(
    "threats 3.2 near names",
    "a near name in params",
    serverCall("notifications/message", '{"Tools":[{"name":"evil"}]}'),
  ),
  ...faulty(
    "threats 3.2 near names",
    "a near name in the result of a result",
    answer('{"result":{"Tools":[{"name":"evil"}]}}'),
  ),
  ...NEAR("name").flatMap((near) =>
    result(
      "threats 3.2 near names",
      `"${near}" in a tool`,
      `{"tools":[{"name":"safe","${near}":"evil"},{"${near}":"evil","name":"other"}],"prompts":[{"name":"greet","${near}":"evil"},{"name":"sum"}]}`,
      '{"tools":[],"prompts":[{"name":"sum"}]}',
    ),
  ),
  ...result(
    "threats 3.2 near names",
    "a near name further inside",
    '{"tools":[{"name":"safe","inputSchema":{"Name":"x","Tools":1}}],"x":{"Tools":[]}}',
  ),
  ...result(
    "threats 3.2 near names",
    "in other elements",
    '{"resources":[{"uri":"file:///docs/a","URI":"evil"},{"uri":"file:///docs/b"}],"resourceTemplates":[{"uriTemplate":"file:///docs/{a}","uritemplate":"evil"}],"tools":[{"name":"safe","_meta":{"UI":{"resourceUri":"ui://evil"}}},{"name":"other","_meta":{"ui":{"ResourceUri":"ui://evil"}}}]}',
    '{"resources":[{"uri":"file:///docs/b"}],"resourceTemplates":[],"tools":[]}',
  ),
  // The element that goes is the icon or the tool.
  response(
    "threats 3.2 near names",
    "in an icon",
    answer('{"tools":[{"name":"safe","icons":[{"src":"https://h/","Src":"evil"},{"src":"https://h/"}]}]}'),
    {
      kind: "json",
      outcomes: [
        jsonOutcome(answer('{"tools":[{"name":"safe","icons":[{"src":"https://h/"}]}]}')),
        jsonOutcome(answer('{"tools":[]}')),
      ],
    },
  ),
  ...result(
    "threats 3.2 near names",
    "in an input request",
    '{"inputRequests":{"a":{"method":"ping","Method":"evil"},"b":{"method":"ping","Params":{"url":"evil"}},"c":{"method":"ping"}}}',
    '{"inputRequests":{"c":{"method":"ping"}}}',
  ),
  ...result(
    "threats 3.2 near names",
    "in a content block",
    '{"content":[{"type":"text","Type":"resource_link","uri":"http://evil/"},{"type":"resource_link","uri":"https://h/","URI":"http://evil/"}]}',
    '{"content":[{"type":"text","text":"[removed by policy: uri_not_allowed]"},{"type":"text","text":"[removed by policy: uri_not_allowed]"}]}',
  ),
  // A message of a prompt is an element, or a part of the result.
  response(
    "threats 3.2 near names",
    "in a message of a prompt",
    answer('{"messages":[{"role":"user","Content":{"type":"text","text":"evil"}},{"role":"user"}]}'),
    {
      kind: "json",
      outcomes: [jsonOutcome(answer('{"messages":[{"role":"user"}]}')), jsonOutcome(refusal("response_invalid", "1"))],
    },
  ),
  ...passes(
    "threats 3.2 near names",
    "in an elicitation of an error",
    '{"jsonrpc":"2.0","id":1,"error":{"data":{"elicitations":[{"url":"https://h/","URL":"http://evil/"},{"url":"https://h/"}]}}}',
    '{"jsonrpc":"2.0","id":1,"error":{"data":{"elicitations":[{"url":"https://h/"}]}}}',
  ),
  ...passes(
    "names",
    "not near: other letters, accents, prefixes",
    '{"jsonrpc":"2.0","id":1,"result":{"toolset":1,"t\u00f6ols":2,"tool":3,"names":4,"x-tools":5},"resultat":6,"methods":[]}',
  ),
];

const FAULTS: readonly ResponseVector[] = [
  ...faulty("threats 28", "tools twice", answer(`{"tools":[${SAFE}],"tools":[${EVIL}]}`)),
  ...faulty("threats 28", "tools twice, one escaped", answer(`{"tools":[${SAFE}],"\\u0074ools":[${EVIL}]}`)),
  ...faulty("threats 28", "result twice", `{"id":1,"result":{},"result":{"tools":[${EVIL}]}}`),
  ...faulty("faults", "the name of a tool twice", answer('{"tools":[{"name":"safe","name":"evil"}]}')),
  ...faulty("faults", "a member twice in a tool that goes", answer('{"tools":[{"name":"evil","x":1,"x":2}]}')),
  ...faulty("faults", "a member twice in a place that nobody looks at", answer('{"x":[{"a":1,"a":2}]}')),
  ...faulty("faults", "a call and an answer", `{"jsonrpc":"2.0","id":1,"method":"ping","result":{"tools":[${EVIL}]}}`),
  ...faulty("faults", "a call and an error", '{"jsonrpc":"2.0","id":1,"error":{},"method":"ping"}'),
  ...faulty("faults", "a comma too many", answer(`{"tools":[${EVIL},]}`)),
  ...faulty("faults", "a comment", answer(`{"tools":[${EVIL}/**/]}`)),
  ...faulty("faults", "not closed", answer(`{"tools":[${EVIL}]`).slice(0, -1)),
  ...faulty("faults", "a lone surrogate", answer('{"x":"\\ud800"}')),
  ...faulty("faults", "a number that is none", answer('{"x":01}')),
  ...faulty("faults", "too deep", answer(`{"x":${"[".repeat(63)}${"]".repeat(63)}}`)),
  ...passes("faults", "as deep as allowed", answer(`{"x":${"[".repeat(62)}${"]".repeat(62)}}`)),
  ...faulty("faults", "too many members", answer('{"a":1,"b":2,"c":3,"d":4,"e":5}'), {
    policy: { limits: { members_per_object: 4 } },
  }),
  ...faulty("faults", "too many open members", answer('{"a":1,"b":{"c":3,"d":4,"e":5}}'), {
    policy: { limits: { open_members: 7 } },
  }),
  ...faulty("faults", "a long name", answer(`{"${"k".repeat(257)}":1}`)),
  body(
    "faults",
    "bytes that are no UTF-8",
    Uint8Array.from([...Buffer.from('{"id":1,"result":{"x":"a'), 0xc0, 0xae, ...Buffer.from('"}}')]),
    [refusal("response_invalid", "1")],
  ),
  body(
    "field-lessons/6.2 BOM",
    "a byte order mark",
    Uint8Array.from([0xef, 0xbb, 0xbf, ...Buffer.from(answer(LISTS))]),
    [refusal("response_invalid", undefined)],
  ),
  body(
    "field-lessons/6.2 BOM",
    "two byte order marks",
    Uint8Array.from([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, ...Buffer.from(answer(LISTS))]),
    [refusal("response_invalid", undefined)],
  ),
  body(
    "threats 3.2 UTF-16",
    "little endian",
    Uint8Array.from(Buffer.from(answer(LISTS), "utf16le")),
    [refusal("response_invalid", undefined)],
    { contentType: "application/json; charset=utf-16le" },
  ),
  body("threats 3.2 UTF-16", "with a mark", Uint8Array.from([0xff, 0xfe, ...Buffer.from(answer(LISTS), "utf16le")]), [
    refusal("response_invalid", undefined),
  ]),
  body("faults", "no JSON at all", "<html>evil</html>", [refusal("response_invalid", undefined)]),
  body("faults", "text behind the answer", `${answer(LISTS)}xyz`, [
    answer(LISTS_SEEN),
    refusal("response_invalid", undefined),
  ]),
  body("faults", "nothing after an error of a near name", `${answer('{"Tools":[]}')}\n${answer("{}")}\n`, [
    refusal("response_invalid", "1", undefined),
  ]),
  body(
    "faults",
    "nothing after an error of a mixed message",
    `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}\n${answer("{}")}\n`,
    [refusal("response_invalid", "1", undefined)],
  ),
  body("faults", "nothing after an error", `${answer('{"x":01}')}\n${answer("{}")}\n`, [
    refusal("response_invalid", "1"),
  ]),
  body("faults", "an id that stands before the fault", '{"id":"abc","result":{"tools":[}', [
    refusal("response_invalid", '"abc"'),
  ]),
  body("faults", "an id that stands behind the fault", '{"result":{"tools":[}],"id":1}', [
    refusal("response_invalid", undefined),
  ]),
];

const HIDDEN_CHARACTERS = [
  ...["\u00ad", "\u200b", "\u2060", "\ufeff", "\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c"],
  ...[
    "\u{e0100}",
    "\u{e01ef}",
    "\u{e0000}",
    "\u{e0041}",
    "\u{e007f}",
    "\u0000",
    "\u0008",
    "\u001b",
    "\u001f",
    "\u007f",
    "\u0080",
    "\u009f",
  ],
];
const STAYING = [
  "\ufe0e",
  "\ufe0f",
  "\u200c",
  "\u200d",
  "\t",
  "\n",
  "\r",
  "\u00a0",
  "\u00e9",
  "\u{1f600}",
  "\u{e01f0}",
  "\u{e0080}",
  "\u2029",
  "\u2065",
  "\u202f",
];

const escaped = (text: string): string =>
  [...text]
    .map((character) =>
      character
        .split("")
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
        .join(""),
    )
    .join("");
const asIs = (text: string): string => (text < " " ? escaped(text) : text);

const HIDDEN: readonly ResponseVector[] = [
  ...[escaped, asIs].flatMap((spelling, index) => {
    const how = index === 0 ? "escaped" : "as it stands";
    const marked = (character: string): string => `a${spelling(character)}b`;
    return [
      ...result(
        "hidden text",
        `taken out, ${how}`,
        `{"tools":[{"name":"safe","description":"${HIDDEN_CHARACTERS.map(marked).join("")}","inputSchema":{"x":[{"y":"${spelling("\u{e0041}")}"}]}}]}`,
        `{"tools":[{"name":"safe","description":"${"ab".repeat(HIDDEN_CHARACTERS.length)}","inputSchema":{"x":[{"y":""}]}}]}`,
      ),
      ...result(
        "hidden text",
        `what stays, ${how}`,
        `{"tools":[{"name":"safe","description":"${STAYING.map(marked).join("")}"}],"instructions":"${STAYING.map(marked).join("")}"}`,
        undefined,
        { policy: { hidden_text: "drop" } },
      ),
      ...HIDDEN_CHARACTERS.flatMap((character) => [
        body(
          "hidden text",
          `U+${character.codePointAt(0)!.toString(16)} drops, ${how}`,
          answer(`{"tools":[{"name":"safe","description":"${marked(character)}"},${OTHER}]}`),
          [answer(`{"tools":[${OTHER}]}`)],
          { policy: { hidden_text: "drop" } },
        ),
        body(
          "hidden text",
          `U+${character.codePointAt(0)!.toString(16)} goes, ${how}`,
          answer(`{"tools":[{"name":"safe","description":"${marked(character)}"}]}`),
          [answer('{"tools":[{"name":"safe","description":"ab"}]}')],
        ),
        body(
          "hidden text",
          `U+${character.codePointAt(0)!.toString(16)} in a member name, ${how}`,
          answer(`{"tools":[{"name":"safe","x":[{"${marked(character)}":1}]},${OTHER}]}`),
          [answer(`{"tools":[${OTHER}]}`)],
          { policy: { hidden_text: "allow" } },
        ),
      ]),
      ...result(
        "hidden text",
        `allowed, ${how}`,
        `{"tools":[{"name":"safe","description":"${HIDDEN_CHARACTERS.map(marked).join("")}"}],"instructions":"${HIDDEN_CHARACTERS.map(marked).join("")}"}`,
        undefined,
        { policy: { hidden_text: "allow" } },
      ),
      ...result(
        "hidden text",
        `prompts, resources, templates, instructions, ${how}`,
        `{"prompts":[{"name":"greet","title":"${marked("\u200b")}"}],"resources":[{"uri":"file:///docs/a","name":"${marked("\u202e")}"}],"resourceTemplates":[{"uriTemplate":"file:///docs/{a}","name":"${marked("\u{e0041}")}"}],"instructions":"${marked("\u2066")}"}`,
        '{"prompts":[{"name":"greet","title":"ab"}],"resources":[{"uri":"file:///docs/a","name":"ab"}],"resourceTemplates":[{"uriTemplate":"file:///docs/{a}","name":"ab"}],"instructions":"ab"}',
      ),
      ...result(
        "hidden text",
        `prompts, resources, templates drop, ${how}`,
        `{"prompts":[{"name":"greet","title":"${marked("\u200b")}"}],"resources":[{"uri":"file:///docs/a","name":"${marked("\u202e")}"}],"resourceTemplates":[{"uriTemplate":"file:///docs/{a}","name":"${marked("\u{e0041}")}"}]}`,
        '{"prompts":[],"resources":[],"resourceTemplates":[]}',
        { policy: { hidden_text: "drop" } },
      ),
    ];
  }),
  response(
    "hidden text",
    "instructions drop",
    answer('{"instructions":"a\\u200bb","x":1}'),
    { kind: "json", outcomes: [jsonOutcome(answer('{"instructions":"","x":1}')), jsonOutcome(answer('{"x":1}'))] },
    { policy: { hidden_text: "drop" } },
  ),
  ...result(
    "hidden text",
    "nothing is taken out elsewhere",
    '{"content":[{"type":"text","text":"a\\u200bb"}],"x":"\\u200b","serverInfo":{"name":"\\u200b"},"tasks":[{"a":"\\u200b"}]}',
    undefined,
    { policy: { tasks: "allow" } },
  ),
  ...result(
    "hidden text",
    "a listed name has one",
    '{"tools":[{"name":"a\\u200bb","description":"c\\u200bd"}]}',
    '{"tools":[{"name":"a\\u200bb","description":"cd"}]}',
    { policy: { tool_allowlist: ["a\u200bb"] } },
  ),
  ...result(
    "hidden text",
    "a listed name has one, drop",
    '{"tools":[{"name":"a\\u200bb","description":"cd"}]}',
    undefined,
    { policy: { tool_allowlist: ["a\u200bb"], hidden_text: "drop" } },
  ),
];

const ARRAYS: readonly ResponseVector[] = [
  ...passes(
    "field-lessons/6.2 batch arrays",
    "an array of answers",
    `[${answer(LISTS)},${answer("{}")}]`,
    `[${answer(LISTS_SEEN)},${answer("{}")}]`,
  ),
  ...passes(
    "field-lessons/6.2 batch arrays",
    "one answer in an array",
    `[ ${answer(LISTS)} ]`,
    `[${answer(LISTS_SEEN)}]`,
  ),
  ...passes(
    "arrays",
    "a call that is denied among others",
    `[${answer("{}")},${serverCall("sampling/createMessage", '{"x":"evil"}')},${answer('{"a":1}')}]`,
    `[${answer("{}")},${answer('{"a":1}')}]`,
  ),
  ...passes(
    "arrays",
    "an answer that must not pass among others",
    `[${answer("{}")},${answer('{"contents":[{"uri":"file:///etc/evil"}]}')},${answer('{"a":1}')}]`,
    [answer("{}"), refusal("resource_not_listed", "1"), answer('{"a":1}')],
  ),
  response(
    "arrays",
    "a fault in the second",
    `[${answer(LISTS)},{"id":2,"result":{"Tools":[${EVIL}]}},${answer("{}")}]`,
    {
      kind: "json",
      outcomes: [orCut(jsonOutcome([answer(LISTS_SEEN), refusal("response_invalid", "2", undefined)]))],
    },
  ),
  response("arrays", "nothing but calls that are denied", `[${serverCall("sampling/createMessage", '{"x":"evil"}')}]`, {
    kind: "json",
    outcomes: [jsonOutcome([refusal("server_request_denied", undefined, "1")])],
  }),
  body("arrays", "an empty array", "[]", ["[]"]),
];

const SEQUENCES: readonly ResponseVector[] = [
  body(
    "NDJSON",
    "each text is decided alone",
    `${answer(LISTS)}\n${serverCall("ping", "{}")}\n${serverCall("sampling/createMessage", '{"x":"evil"}')}\r\n${answer("{}")}\n`,
    [answer(LISTS_SEEN), serverCall("ping", "{}"), answer("{}")],
  ),
  body(
    "NDJSON",
    "an answer that must not pass among others",
    `${answer('{"contents":[{"uri":"file:///etc/evil"}]}')}\n${answer("{}")}`,
    [refusal("resource_not_listed", "1"), answer("{}")],
  ),
  body(
    "NDJSON",
    "one call that is denied and nothing else",
    `\n${serverCall("sampling/createMessage", '{"x":"evil"}')}\n`,
    [refusal("server_request_denied", undefined, "1")],
  ),
  body(
    "NDJSON",
    "calls that are denied and nothing else",
    `${serverCall("tools/call", '{"x":"evil"}')}\n${serverCall("vendor/evil", "{}")}\n`,
    [refusal("server_request_denied", undefined, "1")],
  ),
  body(
    "NDJSON",
    "a call that is denied, then an answer",
    `${serverCall("tools/call", '{"x":"evil"}')}\n${answer("{}")}`,
    [answer("{}")],
  ),
  body(
    "NDJSON",
    "numbers and words around a call that is denied stay apart",
    `1\n${serverCall("tools/call", '{"x":"evil"}')}2${serverCall("tools/call", '{"x":"evil"}')}true`,
    ["1", "2", "true"],
  ),
  body("NDJSON", "texts that touch", `${answer(LISTS)}${answer("{}")}`, [answer(LISTS_SEEN), answer("{}")]),
  body("NDJSON", "white space and nothing else", " \n\t\r\n ", []),
  body(
    "NDJSON",
    "white space in all places",
    ` { "id" : 1 ,\r\n\t"result" : { "tools" : [ {"name" : "evil"} , ${SAFE} , { "name":"evil" } ] } } \n`,
    [`{"id":1,"result":${LISTS_SEEN}}`],
  ),
  body(
    "foreign",
    "a key set",
    '{"keys":[{"kty":"RSA","n":"x","e":"AQAB","alg":"RS256"}]}',
    ['{"keys":[{"kty":"RSA","n":"x","e":"AQAB","alg":"RS256"}]}'],
    { exchange: { method: "GET" } },
  ),
  body(
    "foreign",
    "a health page",
    '{"status":"ok","checks":{"db":[true,1.50]}}',
    ['{"status":"ok","checks":{"db":[true,1.50]}}'],
    { exchange: { method: "GET" }, contentType: "application/health+json" },
  ),
  ...["1", '"text"', "null", "true", "-0.0e1"].map((text) => body("foreign", `the root is ${text}`, text, [text])),
  body("foreign", "roots that end with the next", '1[2]null"a"true{}', ["1", "[2]", "null", '"a"', "true", "{}"]),
  ...["00", "9.09.0", "1x", "nullx", "true1", "1,2", "null\u00a0", "12:"].map((text) =>
    response("faults", `the root is ${JSON.stringify(text)}`, text, {
      kind: "json",
      outcomes: [jsonOutcome(refusal("response_invalid", undefined))],
    }),
  ),
  body("foreign", "an empty object", "{}", ["{}"]),
  body("foreign", "a list of objects", '[{"a":1},2,"x"]', ['[{"a":1},2,"x"]']),
];

const NESTED = `[[${answer(LISTS)}]]`;
const OPEN: readonly ResponseVector[] = [
  // Nobody reads a list of lists as messages; what counts is that the tool does not show.
  response("arrays", "a list in a list", NESTED, {
    kind: "json",
    outcomes: [
      jsonOutcome("[]"),
      jsonOutcome("[[]]"),
      jsonOutcome(`[[${answer(LISTS_SEEN)}]]`),
      orCut(jsonOutcome([refusal("response_invalid", undefined)])),
    ],
  }),
  response("ttlMs", "no number", answer('{"ttlMs":"99999999","x":1}'), {
    kind: "json",
    outcomes: [
      jsonOutcome(answer('{"ttlMs":60000,"x":1}')),
      jsonOutcome(answer('{"x":1}')),
      jsonOutcome(answer('{"ttlMs":0,"x":1}')),
    ],
  }),
  response(
    "threats 50",
    "input requests as a list",
    answer('{"inputRequests":[{"method":"sampling/createMessage","params":{"x":"evil"}}],"x":1}'),
    {
      kind: "json",
      outcomes: [
        jsonOutcome(answer('{"inputRequests":[],"x":1}')),
        jsonOutcome(answer('{"inputRequests":{},"x":1}')),
        jsonOutcome(answer('{"x":1}')),
      ],
    },
  ),
];

const wide = (bytes: number): string => "w".repeat(bytes);
const LIST_LIMIT = { limits: { list_bytes: 65_536 } };
const many = Array.from({ length: 60 }, (_, index) => `{"name":"t${index}","description":"${wide(5000)}"}`);
const MANY_NAMES = Array.from({ length: 60 }, (_, index) => `t${index}`);

const LARGE: readonly ResponseVector[] = [
  body(
    "lists",
    "a list over list_bytes flows",
    answer(`{"tools":[${[...many, EVIL].join(",")}],"nextCursor":"n"}`),
    [answer(`{"tools":[${many.join(",")}],"nextCursor":"n"}`)],
    { policy: { ...LIST_LIMIT, tool_allowlist: MANY_NAMES } },
  ),
  response(
    "lists",
    "a duplicate far behind cuts",
    answer(`{"tools":[${[...many, '{"name":"t0","description":"evil"}'].join(",")}]}`),
    { kind: "json", outcomes: [cutAfter(jsonOutcome())] },
    { policy: { ...LIST_LIMIT, tool_allowlist: MANY_NAMES } },
  ),
  body(
    "lists",
    "a duplicate within list_bytes",
    answer(`{"tools":[${[...many.slice(0, 5), '{"name":"t0","x":"evil"}', ...many.slice(5, 10)].join(",")}]}`),
    [answer(`{"tools":[${many.slice(1, 10).join(",")}]}`)],
    { policy: { ...LIST_LIMIT, tool_allowlist: MANY_NAMES } },
  ),
  response(
    "lists",
    "one tool over list_bytes",
    answer(`{"tools":[{"name":"safe","description":"${wide(200_000)}"}]}`),
    { kind: "json", outcomes: [orCut(jsonOutcome(refusal("response_too_large", "1")))] },
    { policy: LIST_LIMIT },
  ),
  response(
    "lists",
    "one tool over list_bytes that goes",
    answer(`{"tools":[{"description":"${wide(200_000)}","name":"evil"}]}`),
    { kind: "json", outcomes: [orCut(jsonOutcome(refusal("response_too_large", "1")))] },
    { policy: LIST_LIMIT },
  ),
  response(
    "lists",
    "a call over list_bytes",
    serverCall("notifications/message", `{"data":"${wide(200_000)}"}`),
    { kind: "json", outcomes: [orCut(jsonOutcome(refusal("response_too_large", undefined, "5")))] },
    { policy: LIST_LIMIT },
  ),
  body(
    "lists",
    "contents flow once the URI is known",
    answer(`{"contents":[{"uri":"file:///docs/a","blob":"${wide(200_000)}"},{"uri":"file:///docs/b","text":"t"}]}`),
    [answer(`{"contents":[{"uri":"file:///docs/a","blob":"${wide(200_000)}"},{"uri":"file:///docs/b","text":"t"}]}`)],
    { policy: LIST_LIMIT },
  ),
  response(
    "lists",
    "contents under no root after much that has gone out",
    answer(`{"contents":[{"uri":"file:///docs/a","blob":"${wide(200_000)}"},{"uri":"file:///etc/evil","text":"t"}]}`),
    { kind: "json", outcomes: [cutAfter(jsonOutcome())] },
    { policy: LIST_LIMIT },
  ),
  response(
    "lists",
    "contents whose URI comes late",
    answer(`{"contents":[{"blob":"${wide(200_000)}","uri":"file:///docs/a"}]}`),
    { kind: "json", outcomes: [orCut(jsonOutcome(refusal("response_too_large", "1")))] },
    { policy: LIST_LIMIT },
  ),
  response(
    "lists",
    "contents whose URI comes late, behind much that has gone out",
    answer(`{"x":"${wide(200_000)}","contents":[{"blob":"evil${wide(200_000)}","uri":"file:///docs/a"}]}`),
    { kind: "json", outcomes: [cutAfter(jsonOutcome())] },
    { policy: LIST_LIMIT },
  ),
  body(
    "lists",
    "a content block flows once its type is known",
    answer(`{"content":[{"type":"text","text":"${wide(200_000)}"}]}`),
    [answer(`{"content":[{"type":"text","text":"${wide(200_000)}"}]}`)],
    { policy: LIST_LIMIT },
  ),
  ...[0, 40_000, 300_000].map((behind) =>
    body(
      "links",
      `a link behind much text that goes out as it came, and ${behind} bytes behind it`,
      answer(
        `{"content":[{"type":"text","text":"${wide(300_000)}"},{"type":"resource_link","uri":"http://evil/"},{"type":"text","text":"${wide(behind)}"}]}`,
      ),
      [
        answer(
          `{"content":[{"type":"text","text":"${wide(300_000)}"},{"type":"text","text":"[removed by policy: uri_not_allowed]"},{"type":"text","text":"${wide(behind)}"}]}`,
        ),
      ],
      { policy: LIST_LIMIT },
    ),
  ),
  body(
    "lists",
    "members that nobody looks at are not held",
    answer(`{"x":"${wide(300_000)}","y":[${"1,".repeat(50_000)}1]}`),
    [answer(`{"x":"${wide(300_000)}","y":[${"1,".repeat(50_000)}1]}`)],
    { policy: LIST_LIMIT },
  ),
  ...[`["${wide(200_000)}",${answer(LISTS_SEEN)}]`, `[${answer(LISTS_SEEN)},1,"${wide(200_000)}",[2]]`].map(
    (text, index) =>
      body("foreign", `a long string in a list of messages, ${index}`, text, [text], { policy: LIST_LIMIT }),
  ),
  response(
    "lists",
    "a long string in a list of tools",
    answer(`{"tools":["evil${wide(200_000)}",${SAFE}]}`),
    { kind: "json", outcomes: [orCut(jsonOutcome(refusal("response_too_large", "1")))] },
    { policy: LIST_LIMIT },
  ),
  response("faults", "a fault after much that has gone out", answer(`{"x":"${wide(300_000)}","y":01}`), {
    kind: "json",
    outcomes: [cutAfter(jsonOutcome())],
  }),
];

export const MESSAGE_VECTORS: readonly ResponseVector[] = [
  ...PLACES,
  ...NAMED,
  ...URIS,
  ...CONTENT,
  ...REST,
  ...CALLS,
  ...NAMES,
  ...FAULTS,
  ...HIDDEN,
  ...ARRAYS,
  ...SEQUENCES,
  ...OPEN,
  ...LARGE,
];
