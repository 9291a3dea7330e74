// A client's view of the API: what must compile with the types made of the document, and what must not.
import type { components, operations } from "./api";

type Body<Name extends keyof operations> = operations[Name] extends {
  requestBody: { content: { "application/json": infer Content } };
}
  ? Content
  : never;

export const event: Body<"createEvent"> = {
  e_name: "Rust for organisers",
  e_details: "An evening",
  event_time: "2030-01-31T18:30:00",
  event_add: "https://meet.example.org/rust",
  capacity: null,
  fees: "499.50",
};

// @ts-expect-error capacity must be said, if only to say null
export const unsaid: Body<"createEvent"> = {
  e_name: "Rust for organisers",
  e_details: "An evening",
  event_time: "2030-01-31T18:30:00",
  event_add: "https://meet.example.org/rust",
  fees: 500,
};

// @ts-expect-error there is no such role
export const admin: Body<"registerUser"> = { email: "a@example.org", password: "a good one", role: "admin" };

export function seats(event: components["schemas"]["EventView"]): number {
  // Always sent, and null when there is no limit.
  return event.seats_left ?? Infinity;
}

export function next(answer: components["schemas"]["ProcessedPayment"]): string {
  // 200 and 202 told apart by `status`.
  return answer.status === "created" ? answer.checkout.order_id : answer.captured_at ?? answer.payment_id;
}

type Conflict = operations["registerForEvent"]["responses"][409]["content"]["application/problem+json"];

export function explain(problem: Conflict): string {
  switch (problem.code) {
    case "already_registered":
      return `${problem.registration_id} owes ${problem.amount_due.toFixed(2)}`;
    case "event_full":
    case "event_cancelled":
    case "event_not_published":
    case "registration_closed":
    case "registration_not_open":
    case "idempotency_key_in_flight":
      return problem.detail;
    default:
      // @ts-expect-error every code is named above
      return problem.code;
  }
}
