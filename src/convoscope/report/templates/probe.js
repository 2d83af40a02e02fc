/** Shows one epoch of the probe images at a time, the one that the slider stands at. */
function slidable(box) {
  const slider = box.querySelector("input[type=range]");
  const epochs = [...box.querySelectorAll(":scope > .epoch")];
  const show = () => {
    epochs.forEach((epoch, k) => epoch.classList.toggle("chosen", k === Number(slider.value)));
    slider.setAttribute("aria-valuetext", epochs[Number(slider.value)].dataset.name);
  };
  slider.addEventListener("input", show);
  show();
}

document.querySelectorAll(".epochs").forEach(slidable);
