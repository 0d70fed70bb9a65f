// node scenarios.mjs NAME BASE_URL KEY MODEL: prints, as JSON, what a program sees that does NAME.
import OpenAI from "openai";

const [name, baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey });
const user = (content) => [{ role: "user", content }];
const image = "data:image/png;base64,iVBORw0KGgo=";
const city = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tool = (name, result) => ({
  type: "function",
  function: {
    name,
    description: "About a city.",
    parameters: city,
    parse: JSON.parse,
    function: ({ city }) => `${result} in ${city}`,
  },
});
const tools = () => [tool("get_weather", "sunny"), tool("get_time", "noon")];

const scenarios = {
  async chat() {
    const { data, response } = await client.chat.completions
      .create({ model, messages: user("Hello, wörld 👋"), temperature: 0.5, stop: ["👋"] })
      .withResponse();
    const { message, finish_reason } = data.choices[0];
    const { total_tokens, prompt_tokens, completion_tokens } = data.usage;
    return {
      text: message.content,
      finish: finish_reason,
      sum: total_tokens - prompt_tokens - completion_tokens,
      id: data._request_id === response.headers.get("x-request-id"),
    };
  },

  async stream() {
    const asked = { model, messages: user("Hello, wörld 👋") };
    const texts = [];
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
      texts.push(chunk.choices[0].delta.content ?? "");
    }
    const helper = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    const whole = await helper.finalChatCompletion();
    return {
      text: texts.join(""),
      pieces: texts.length > 3,
      whole: whole.choices[0].message.content,
      tokens: whole.usage.completion_tokens,
    };
  },

  async agent() {
    const asked = () => ({ model, messages: user("use tools"), tools: tools() });
    const whole = client.chat.completions.runTools(asked());
    const streamed = client.chat.completions.runTools({ ...asked(), stream: true });
    return { whole: await whole.finalContent(), streamed: await streamed.finalContent() };
  },

  async responses() {
    const functions = tools().map(({ function: { name, description, parameters } }) => {
      return { type: "function", name, description, parameters, strict: true };
    });
    const input = user("use tools");
    const asked = { model, input, tools: functions };
    const first = await client.responses.stream(asked).finalResponse();
    const calls = first.output.filter((item) => item.type === "function_call");
    const results = calls.map(({ call_id, name }) => {
      return { type: "function_call_output", call_id, output: `${name} says yes` };
    });
    // What the SDK's helper itself adds, OpenAI refuses.
    const said = first.output.map(({ parsed_arguments, ...item }) => item);
    input.push(...said, ...results);
    const texts = [];
    for await (const event of await client.responses.create({ ...asked, stream: true })) {
      if (event.type === "response.output_text.delta") texts.push(event.delta);
    }
    const whole = await client.responses.create(asked);
    return { calls: calls.map(({ name }) => name), streamed: texts.join(""), whole: whole.output_text };
  },

  async structured() {
    const schema = { ...city, properties: { city: { type: "string", enum: ["Rome"] } } };
    const answer = await client.chat.completions.parse({
      model,
      messages: user("Where?"),
      response_format: { type: "json_schema", json_schema: { name: "place", strict: true, schema } },
    });
    return JSON.parse(answer.choices[0].message.content);
  },

  async vision() {
    const content = [
      { type: "text", text: "What is it?" },
      { type: "image_url", image_url: { url: image } },
    ];
    const answer = await client.chat.completions.create({ model, messages: user(content) });
    return answer.choices[0].message.content;
  },

  async embeddings() {
    const input = ["one", "two"];
    const packed = await client.embeddings.create({ model, input });
    const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
    const vectors = (answer) => answer.data.map((item) => Array.from(item.embedding));
    return { packed: vectors(packed), plain: vectors(plain) };
  },

  async models() {
    const listed = [];
    for await (const found of client.models.list()) listed.push(found.id);
    return { listed, found: (await client.models.retrieve(model)).id };
  },

  async error() {
    try {
      await client.chat.completions.create({ model, messages: user("Hello") });
    } catch (error) {
      return { kind: error.constructor.name, status: error.status, code: error.code };
    }
  },
};

console.log(JSON.stringify(await scenarios[name]()));
