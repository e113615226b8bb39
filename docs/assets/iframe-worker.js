// Search runs in a worker, which browsers refuse to a page that is opened from a file: a hidden frame does its work.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.body.appendChild(Object.assign(document.createElement("iframe"), { hidden: true }));
      const inside = this.frame.contentWindow;
      inside.document.write(
        "<script>self.postMessage = answer => parent.postMessage(answer, '*')</" + "script>" +
          `<script src="${address}"></` + "script>",
      );
      inside.document.close();
      this.ready = new Promise((resolve) => inside.addEventListener("load", resolve));
      window.addEventListener("message", ({ source, data }) => {
        if (source === inside) this.dispatchEvent(new MessageEvent("message", { data }));
      });
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
