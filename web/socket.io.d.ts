// What this client uses of the stock client, which the server hands out.
declare module '*/socket.io.esm.min.js' {
  export interface Socket {
    connected: boolean;
    active: boolean;
    io: { engine: { close(): void; transport: { name: string } } };
    connect(): void;
    disconnect(): void;
    on(event: string, handler: (...args: any[]) => void): void;
    onAny(handler: (event: string, ...args: any[]) => void): void;
    emit(event: string, data: object): void;
    timeout(ms: number): { emit(event: string, data: object, answered: (error: Error | null, answer: any) => void): void };
    volatile: { emit(event: string, data: object): void };
  }
  export function io(
    namespace: string,
    options: { autoConnect: boolean; auth: (give: (auth: object) => void) => void },
  ): Socket;
}
