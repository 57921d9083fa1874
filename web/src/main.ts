import "./tokens.css";
import "./base.css";
import "./controls.css";
import "./states.css";
import "./reduced-motion.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { Session } from "./account/session.svelte.ts";
import { connectApi } from "./api.ts";
import { Router } from "./routing/router.svelte.ts";
import { Toasts } from "./shell/toasts.svelte.ts";
import { browserClock } from "./time/browser-clock.ts";
import { browserRandom } from "./time/browser-random.ts";
import { ServerTime } from "./time/server-time.svelte.ts";

const target = document.getElementById("app");
if (target === null) throw new Error("the page has no element to draw into");
const api = connectApi();
const page = {
  api,
  clock: browserClock,
  router: new Router(),
  session: new Session(api),
  time: new ServerTime(browserClock),
  toasts: new Toasts(browserClock),
};
mount(App, { target, props: { page, random: browserRandom } });
