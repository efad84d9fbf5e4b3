// The agent as the face holds it: the same object for the life of the process, although joining another cluster replaces
// the agent behind it. Forwards every call; keeps the subscriptions and hands them to the next agent.

import { TuttiError } from '../lib/errors.ts'
import { defined } from '../lib/assert.ts'
import type { Agent } from './agent.ts'
import type { AgentPort, PeerEvent } from './ports.ts'

export class AgentHandle implements AgentPort {
  #agent: Agent | null = null
  #switching = false
  readonly #changeListeners = new Set<() => void>()
  readonly #eventListeners = new Set<(event: PeerEvent) => void>()
  readonly #answers = new Map<Parameters<AgentPort['answer']>[0], Parameters<AgentPort['answer']>[1]>()

  get current(): Agent {
    return defined(this.#agent, 'the agent')
  }

  use(agent: Agent): void {
    this.#agent = agent
    this.#switching = false
    agent.onChange(() => {
      for (const listener of this.#changeListeners) listener()
    })
    agent.onEvent((event) => {
      for (const listener of this.#eventListeners) listener(event)
    })
    for (const [method, handler] of this.#answers) agent.answer(method, handler)
  }

  /** Until `use` or `stay`, edits are refused: the present document is about to be left. */
  leave(): void {
    this.#switching = true
  }

  /** The present agent remains. */
  stay(): void {
    this.#switching = false
  }

  get past(): AgentPort['past'] {
    return this.current.past
  }

  snapshot: AgentPort['snapshot'] = () => this.current.snapshot()
  preview: Agent['preview'] = (edits) => this.current.preview(edits)
  events: AgentPort['events'] = () => this.current.events()
  note: AgentPort['note'] = (event) => this.current.note(event)
  counters: AgentPort['counters'] = () => this.current.counters()
  journal: AgentPort['journal'] = () => this.current.journal()
  lastExchangeMs: AgentPort['lastExchangeMs'] = () => this.current.lastExchangeMs()
  ask: AgentPort['ask'] = (...question) => this.current.ask(...question)

  edit: AgentPort['edit'] = async (...edit) => {
    this.#checkSettledIn()
    return await this.current.edit(...edit)
  }

  replaceVoters: AgentPort['replaceVoters'] = async () => {
    this.#checkSettledIn()
    return await this.current.replaceVoters()
  }

  invite: AgentPort['invite'] = async (options) => {
    this.#checkSettledIn()
    return await this.current.invite(options)
  }

  onChange: AgentPort['onChange'] = (listener) => {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  onEvent: AgentPort['onEvent'] = (listener) => {
    this.#eventListeners.add(listener)
    return () => this.#eventListeners.delete(listener)
  }

  answer: AgentPort['answer'] = (method, handler) => {
    this.#answers.set(method, handler)
    this.#agent?.answer(method, handler)
  }

  #checkSettledIn(): void {
    if (this.#switching)
      throw new TuttiError('not-ready', 'this peer is joining another cluster; try again in a moment')
  }
}
