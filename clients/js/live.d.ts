/** Live updates of Organise_Event over a WebSocket, protocol evt.v1 (docs/live.md). */

export interface Author { user_id: string; name: string | null; role: 'organizer' | 'attendee' }
export interface ChatMessage { message_id: string; user: Author; text: string; sent_at: string; edited_at: string | null }
export interface ChatMode { mode: 'open' | 'slow' | 'closed'; slow_seconds: number }
export interface Question {
  question_id: string; user: Author; text: string; state: 'open' | 'answered' | 'hidden'; votes: number; asked_at: string;
}
/** `votes` is null while they are not shown. */
export interface PollOption { option_id: string; text: string; votes: number | null }
export interface Poll {
  poll_id: string; question: string; options: PollOption[]; state: 'draft' | 'open' | 'closed'; votes: number | null; created_at: string;
}
export interface Announcement { announcement_id: string; text: string; sent_at: string; expires_at: string | null }
export interface Seats { capacity: number | null; seats_left: number | null; registered: number }
/** Money is in rupees. */
export interface Desk {
  registered: number; pending_payment: number; confirmed: number; checked_in: number; revenue: number; viewers: number;
}
/** A stream of the event. `title` is missing of one that was deleted. */
export interface StreamState {
  stream_id: string; state: 'scheduled' | 'ready' | 'live' | 'interrupted' | 'ended' | 'replay' | 'deleted'; title?: string;
  starts_at: string | null;
}
/** As `GET /api/events/{id}` gives it. */
export interface LiveEvent { event_id: string; e_name: string; status: 'active' | 'cancelled'; [field: string]: unknown }
/** As `GET /api/reg/registrations/{id}` gives it. */
export interface LiveRegistration { registration_id: string; event_id: string; status: string; [field: string]: unknown }

/** As `GET /api/payment/payments` gives it. */
export interface LivePayment { payment_id: string; event_id: string; status: string; [field: string]: unknown }
/** As `GET /api/notifications` gives it. */
export interface LiveNotification { message_id: string; kind: string; channel: 'email' | 'sms'; status: string; [field: string]: unknown }

/** As `GET /api/reg/waitlist` gives it. */
export interface LiveWaitlistEntry { waitlist_id: string; event_id: string; status: string; offer_expires_at: string | null; [field: string]: unknown }

/** The data of each type of publication. */
export interface Publications {
  'event.changed': { event: LiveEvent };
  'event.cancelled': { event: LiveEvent };
  'seats.changed': Seats;
  'registration.changed': { registration: LiveRegistration };
  'payment.changed': { payment: LivePayment };
  'notification.sent': { notification: LiveNotification };
  'waitlist.offered': { waitlist: LiveWaitlistEntry };
  'announcement.created': Announcement;
  'announcement.deleted': { announcement_id: string };
  'chat.message': ChatMessage;
  'chat.edited': ChatMessage;
  'chat.deleted': { message_id: string };
  'chat.mode': ChatMode;
  'question.asked': Question;
  'question.answered': Question;
  'question.votes': { question_id: string; votes: number };
  'question.hidden': { question_id: string };
  'poll.opened': Poll;
  'poll.votes': { poll_id: string; votes: number; options: PollOption[] };
  'poll.closed': { poll_id: string; votes: number; results: PollOption[] };
  'reactions': Record<string, number>;
  'desk.changed': Desk;
  'stream.state': StreamState;
  'viewers': { count: number };
}

/** A publication. Those of `reactions` have no offset. */
export type Publication = {
  [Type in keyof Publications]: { ev: 'pub'; ch: string; offset?: number; type: Type; ts: number; data: Publications[Type] };
}[keyof Publications];

/** What is in force on a channel: announcements, polls, the chat's mode, or how the event stands. */
export interface InForce extends Partial<ChatMode>, Partial<Desk> {
  announcements?: Announcement[]; polls?: Poll[];
  /** Of the stage: what is on, what comes next, and all streams. */
  current?: string | null; next?: string | null; streams?: (StreamState & { kind: string; since: string; ends_at: string | null; priority: number })[];
}

export interface Handlers {
  /** It is read from here on. */
  onJoined?(joined: { state?: InForce }): void;
  onPublication?(publication: Publication): void;
  /** What was missed cannot be had any more: load again what you know. */
  onReset?(reset: { state?: InForce }): void;
  /** It may be read no longer. */
  onRevoked?(): void;
  /** It cannot be read. */
  onError?(error: LiveError): void;
}

export class LiveError extends Error {
  constructor(code: string, message: string, retryAfter?: number);
  readonly code: string;
  readonly retryAfter: number;
}

export interface Options {
  /**
   * An access token, a new one when `renew` is set; null: nobody in particular. When it throws a LiveError that is the end; any other error
   * is tried again.
   */
  token?(ask: { renew: boolean }): string | null | Promise<string | null>;
  onState?(state: 'connecting' | 'open' | 'closed', why?: Error): void;
  WebSocket?: unknown;
  /** Milliseconds before coming back, at first and at the most. */
  shortest?: number;
  longest?: number;
}

export class LiveClient {
  constructor(url: string, options?: Options);
  readonly state: 'new' | 'connecting' | 'open' | 'closed';
  /** Reads a channel, through breaks; gives the function that ends it. */
  subscribe(name: string, handlers?: Handlers): () => void;
  /** Says something on `chat` or `questions`, through breaks and once. */
  publish(name: string, data: { text: string }, options?: { key?: string }): Promise<{ epoch: string; offset: number; id: string }>;
  /** Reacts, on `reactions`. */
  publish(name: string, data: { emoji: string }): Promise<{}>;
  presence(name: string, mode?: 'count' | 'list'): Promise<{ count: number; users?: { user_id: string; name: string | null }[] }>;
  /** Begins by itself; begins again after it was closed, without what was subscribed to then. */
  open(): void;
  /** Goes, until it is opened again. */
  close(): void;
}
