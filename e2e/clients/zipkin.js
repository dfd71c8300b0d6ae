// A call from one service to another by Zipkin's own client, both sides with one span id; prints the trace's id.
// usage: zipkin.js http://127.0.0.1:7070/api/v2/spans
const { Annotation, BatchRecorder, ExplicitContext, Tracer, jsonEncoder, InetAddress } = require("zipkin");
const { HttpLogger } = require("zipkin-transport-http");

const logger = new HttpLogger({ endpoint: process.argv[2], jsonEncoder: jsonEncoder.JSON_V2, httpInterval: 50, headers: {} });
logger.on("error", (error) => {
  console.error(String(error));
  process.exit(1);
});
const ctxImpl = new ExplicitContext();
const tracer = (localServiceName) => new Tracer({ ctxImpl, recorder: new BatchRecorder({ logger }), localServiceName, supportsJoin: true, traceId128Bit: true });
const [web, shop] = [tracer("web"), tracer("shop")];

const id = web.createRootId();
web.scoped(() => {
  web.setId(id);
  web.recordServiceName("web");
  web.recordRpc("get /items");
  web.recordBinary("http.path", "/items");
  web.recordAnnotation(new Annotation.ClientSend());
  web.recordAnnotation(new Annotation.ServerAddr({ serviceName: "shop", host: new InetAddress("10.0.0.2"), port: 8080 }));
});
shop.scoped(() => {
  const joined = shop.join(id);
  shop.setId(joined);
  shop.recordServiceName("shop");
  shop.recordRpc("get /items");
  shop.recordAnnotation(new Annotation.ServerRecv());
  const child = shop.createChildId();
  shop.letId(child, () => {
    shop.recordServiceName("shop");
    shop.recordAnnotation(new Annotation.LocalOperationStart("select"));
    shop.recordBinary("error", "no such item");
    shop.recordAnnotation(new Annotation.LocalOperationStop());
  });
  shop.recordAnnotation(new Annotation.ServerSend());
});
web.scoped(() => {
  web.setId(id);
  web.recordAnnotation(new Annotation.ClientRecv());
});
// All that is recorded goes out in one turn of the logger.
logger.on("success", () => {
  console.log(id.traceId);
  process.exit(0);
});
setTimeout(() => process.exit(2), 30_000);
