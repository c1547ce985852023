import { EventType, type BaseEvent, type Message } from '@ag-ui/core';
import { LangGraphAgent } from '@ag-ui/langgraph';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/copilot-graph.ts', import.meta.url));
let server: TestServer;
beforeAll(async () => {
  server = await testServer({ graphs: { copilot: { file, exportName: 'copilot', description: null } } });
});
afterAll(() => server.stop());

/** An agent as CopilotKit's runtime has it, on a new thread, and what it tells its front-end of each run. */
function copilot(options: { emitInterruptOutcome?: boolean } = {}) {
  const agent = new LangGraphAgent({
    deploymentUrl: server.url,
    graphId: 'copilot',
    threadId: uuidv7(),
    ...options,
  });
  const run = async (params: object = {}) => {
    const events: Told[] = [];
    await agent.runAgent(params, { onEvent: ({ event }) => void events.push(event) });
    return events;
  };
  const say = (content: string) => {
    agent.addMessage({ id: uuidv7(), role: 'user', content });
    return run();
  };
  const state = () => server.client.threads.getState<{ messages: object[]; city?: string }>(agent.threadId);
  return { agent, run, say, state };
}

interface Told extends BaseEvent {
  delta?: string;
  stepName?: string;
  content?: string;
  value?: string;
  snapshot?: object;
  messages?: Message[];
  outcome?: { interrupts: { id: string }[] };
}

const of = (events: Told[], ...types: EventType[]) => events.filter(({ type }) => types.includes(type));

describe('an AG-UI agent', () => {
  it('tells of the steps, the tool call, the words and the state of a run', async () => {
    const { say } = copilot();
    const events = await say('weather');
    const noise = new Set<EventType>([EventType.RAW, EventType.STATE_SNAPSHOT]);
    expect(events.filter(({ type }) => !noise.has(type)).map(({ type, stepName }) => stepName ?? type)).toEqual([
      EventType.RUN_STARTED,
      'confirm',
      'confirm',
      'think',
      EventType.TOOL_CALL_START,
      EventType.TOOL_CALL_ARGS,
      EventType.TOOL_CALL_ARGS,
      EventType.TOOL_CALL_END,
      'think',
      'act',
      EventType.TOOL_CALL_RESULT,
      'act',
      'think',
      EventType.TEXT_MESSAGE_START,
      EventType.TEXT_MESSAGE_CONTENT,
      EventType.TEXT_MESSAGE_CONTENT,
      EventType.TEXT_MESSAGE_END,
      'think',
      EventType.MESSAGES_SNAPSHOT,
      EventType.RUN_FINISHED,
    ]);
    expect(
      of(events, EventType.TOOL_CALL_ARGS)
        .map(({ delta }) => delta)
        .join(''),
    ).toBe('{"city":"Rome"}');
    expect(of(events, EventType.TOOL_CALL_RESULT)).toMatchObject([{ content: 'sunny in Rome' }]);
    expect(of(events, EventType.TEXT_MESSAGE_CONTENT).map(({ delta }) => delta)).toEqual(['It is ', 'sunny']);
    expect(
      of(events, EventType.MESSAGES_SNAPSHOT)
        .at(-1)
        ?.messages?.map(({ role }) => role),
    ).toEqual(['user', 'assistant', 'tool', 'assistant']);
    expect(of(events, EventType.STATE_SNAPSHOT).at(-1)?.snapshot).toMatchObject({ messages: { length: 4 } });
  });

  it('asks, and goes on as older front-ends answer', async () => {
    const { say, run, state } = copilot();
    const asked = await say('ask');
    expect(of(asked, EventType.CUSTOM)).toMatchObject([{ name: 'on_interrupt', value: '{"question":"Which city?"}' }]);
    expect(asked.at(-1)?.type).toBe(EventType.RUN_FINISHED);
    const answered = await run({ forwardedProps: { command: { resume: 'Paris' } } });
    expect(of(answered, EventType.TEXT_MESSAGE_CONTENT)).toHaveLength(2);
    expect((await state()).values).toMatchObject({ city: 'Paris', messages: { length: 4 } });
  });

  it('asks, and goes on as newer front-ends answer', async () => {
    const { say, run, state } = copilot({ emitInterruptOutcome: true });
    const asked = await say('ask');
    const [question] = asked.at(-1)?.outcome?.interrupts ?? [];
    const answered = await run({ resume: [{ interruptId: question?.id, status: 'resolved', payload: 'Oslo' }] });
    expect(of(answered, EventType.TEXT_MESSAGE_CONTENT)).toHaveLength(2);
    expect((await state()).values).toMatchObject({ city: 'Oslo', messages: { length: 4 } });
  });

  it('answers again from an earlier message: a fork', async () => {
    const { agent, say, run, state } = copilot();
    await say('weather');
    await say('again');
    expect((await state()).values.messages).toHaveLength(8);
    // Fewer messages than the thread has, and one that it does not know: the agent goes back to the last question.
    agent.setMessages([...agent.messages.slice(0, 1), { id: uuidv7(), role: 'assistant', content: 'a draft' }]);
    const events = await run();
    expect(of(events, EventType.RUN_ERROR)).toEqual([]);
    expect((await state()).values.messages).toHaveLength(4);
    expect(await server.client.runs.list(agent.threadId)).toHaveLength(3);
  });

  it('stops a run', async () => {
    const { agent, say, state } = copilot();
    const slowly = `slowly ${uuidv7()}`;
    const saying = say(slowly).catch(() => []);
    await gate(slowly).reached;
    agent.abortRun();
    await saying;
    const [run] = await server.client.runs.list(agent.threadId);
    await server.client.runs.join(agent.threadId, String(run?.run_id));
    expect(await server.client.runs.list(agent.threadId)).toMatchObject([{ status: 'interrupted' }]);
    expect((await state()).next).toEqual(['think']);
  });
});
