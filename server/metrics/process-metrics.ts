import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { Counter, Gauge, type Registry } from "prom-client";

/** *Units*: milliseconds between two looks at the event loop. */
const RESOLUTION_MS = 20;
const PERCENTILES = [50, 99, 100] as const;

/** The process: its event loop, its processor time and its memory. Disposing ends the looks at the loop. */
export function createProcessMetrics(registry: Registry) {
  const registers = [registry];
  const delay = new Gauge({
    name: "rollcall_event_loop_delay_seconds",
    help: "How late the event loop was since somebody last asked, by percentile.",
    labelNames: ["percentile"],
    registers,
  });
  const active = new Counter({
    name: "rollcall_event_loop_active_seconds_total",
    help: "Time in which the event loop did something.",
    registers,
  });
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time of the process, its threads included.",
    registers,
  });
  const resident = new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory of the process that is in the machine's.",
    registers,
  });
  const heap = new Gauge({
    name: "nodejs_heap_size_used_bytes",
    help: "JavaScript objects, dead ones that were not collected yet included.",
    registers,
  });
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();

  function setTotal(counter: Counter, value: number): void {
    counter.reset();
    counter.inc(value);
  }

  /** What is measured is the time between two looks. */
  function delaySeconds(percentile: number): number {
    if (histogram.count === 0) return 0;
    const nanoseconds = histogram.percentile(percentile);
    return Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1_000);
  }

  return {
    read(): void {
      for (const percentile of PERCENTILES) delay.set({ percentile: String(percentile) }, delaySeconds(percentile));
      histogram.reset();
      setTotal(active, performance.eventLoopUtilization().active / 1_000);
      const { user, system } = process.cpuUsage();
      setTotal(cpu, (user + system) / 1e6);
      const memory = process.memoryUsage();
      resident.set(memory.rss);
      heap.set(memory.heapUsed);
    },
    [Symbol.dispose]: () => void histogram.disable(),
  };
}
