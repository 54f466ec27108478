"use strict";
const byId = id => document.getElementById(id);
const [form, version, upload, preview, known, question, ask, result] =
  ["form", "version", "upload", "preview", "known", "question", "ask", "result"].map(byId);
const questions = JSON.parse(byId("questions").textContent);

const chosen = () => form.querySelector("[name=person]:checked");

function suggest(texts) {
  known.replaceChildren(...texts.map(text => new Option(text)));
  byId("suggested").hidden = texts.length === 0;
}

function show(file) {
  URL.revokeObjectURL(preview.src);
  preview.hidden = !file;
  if (file) preview.src = URL.createObjectURL(file);
}

function fail(sentence) {
  const line = document.createElement("p");
  line.className = "error bad";
  line.setAttribute("role", "alert");
  line.textContent = sentence;
  result.replaceChildren(line);
}

const base64 = file => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => failed(new Error("The picture can't be read from the disk."));
  reader.readAsDataURL(file);
});

function choose(person) {
  upload.value = "";
  show(null);
  suggest(questions[person]);
  question.value = known.value;
}

if (chosen()) choose(chosen().value);

form.addEventListener("change", event => {
  if (event.target.name === "person") {
    choose(event.target.value);
  } else if (event.target === upload && upload.files.length) {
    if (chosen()) chosen().checked = false;
    show(upload.files[0]);
    suggest([]);
  } else if (event.target === known) {
    question.value = known.value;
  }
});

question.addEventListener("keydown", event => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener("submit", async event => {
  event.preventDefault();
  if (ask.disabled) return;
  const file = upload.files[0];
  const largest = Number(form.dataset.largest);
  if (file && file.size > largest) return fail(`The picture has more than ${largest / 1e6} MB; make it smaller.`);
  const label = ask.textContent;
  ask.disabled = true;
  ask.textContent = "Asking …";
  result.setAttribute("aria-busy", "true");
  try {
    const sent = {
      version: version.value,
      question: question.value,
      person: chosen()?.value ?? "",
      picture: file ? await base64(file) : "",
    };
    const answer = await fetch("answer", {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify(sent),
    });
    const text = await answer.text();
    if (answer.ok) result.innerHTML = text;
    else fail(text);
  } catch (error) {
    fail(error instanceof TypeError ? "Nothing answers: was 'viker demo' ended?" : error.message);
  } finally {
    ask.disabled = false;
    ask.textContent = label;
    result.removeAttribute("aria-busy");
    if (result.getBoundingClientRect().top > innerHeight / 2) result.scrollIntoView();
  }
});
