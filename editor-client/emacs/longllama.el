;;; longllama.el --- Ghost text from longllama-lsp, through eglot  -*- lexical-binding: t; -*-

;; Version: 0.2.0
;; Keywords: convenience, languages, tools
;; Package-Requires: ((emacs "29.1"))

;;; Commentary:

;; Emacs 28 with eglot 1.8 or newer runs it, too; packages cannot ask for that.
;; eglot starts the server and keeps documents in step; this file asks for a suggestion and shows
;; it as an overlay.
;;
;;   (require 'longllama)
;;   (add-hook 'python-mode-hook #'eglot-ensure)
;;   (add-hook 'eglot-managed-mode-hook #'longllama-mode)
;;
;; TAB accepts what is shown, M-f its first word, C-e its first line.  eglot runs one server in a
;; buffer: this one stands in for another.

;;; Code:

(require 'cl-lib)
(require 'eglot)

(defgroup longllama nil "Ghost text from longllama-lsp." :group 'eglot)

(defcustom longllama-command '("longllama-lsp")
  "Program and arguments that start the server."
  :type '(repeat string))

(defcustom longllama-modes '(python-mode c-mode c++-mode java-mode js-mode rust-mode go-mode)
  "Major modes in which eglot starts the server."
  :type '(repeat symbol))

(defcustom longllama-idle-delay 0.1
  "Seconds without a key before a suggestion is asked for."
  :type 'number)

(defcustom longllama-timeout 60
  "Seconds to wait for a suggestion; the server has a limit of its own."
  :type 'number)

(defface longllama-ghost '((t :inherit shadow :slant italic)) "Face of the ghost text.")

(defclass longllama-server (eglot-lsp-server) () "The server, to which we tell more than eglot.")

(cl-defmethod eglot-client-capabilities :around ((_server longllama-server))
  "Say that we show ghost text, so that the popup need not."
  (let ((capabilities (cl-call-next-method)))
    (setq capabilities
          (plist-put capabilities :experimental
                     '(:longllama (:didShowSuggestion t)))) ; eglot itself has none
    (plist-put capabilities :textDocument
               (plist-put (plist-get capabilities :textDocument)
                          :inlineCompletion '(:dynamicRegistration :json-false)))))

(defvar longllama-snoozed nil "Minutes for which suggestions are snoozed, as last told, or nil.")

(cl-defmethod eglot-handle-notification
  ((_server longllama-server) (_method (eql longllama/didChangeStatus))
   &key snooze_minutes_left &allow-other-keys)
  "Keep SNOOZE_MINUTES_LEFT for the mode line."
  (setq longllama-snoozed snooze_minutes_left)
  (force-mode-line-update t))

(defun longllama-snooze (minutes)
  "Show no suggestions while typing for so many MINUTES; 0 ends that."
  (interactive "nMinutes without suggestions (0 ends that): ")
  (longllama--run 'longllama.snooze minutes))

(defun longllama-show-statistics ()
  "Say what became of suggestions; nothing of it is sent anywhere."
  (interactive)
  (longllama--run 'longllama.showStatistics))

(defun longllama--run (command &rest arguments)
  "Have the server carry out its COMMAND with ARGUMENTS."
  (jsonrpc-async-request (eglot--current-server-or-lose) :workspace/executeCommand
                         `(:command ,(symbol-name command) :arguments ,(vconcat arguments))
                         :success-fn #'ignore
                         :error-fn (lambda (failure)
                                     (message "longllama: %s" (plist-get failure :message)))))

(add-to-list 'eglot-server-programs
             (cons longllama-modes
                   (lambda (&rest _) (cons 'longllama-server longllama-command))))

(defvar-local longllama--ghost nil "Overlay of the ghost text on screen.")
(defvar-local longllama--timer nil "Timer of the next request.")
(defvar-local longllama-problem nil "Why the last request showed nothing, as a text, or nil.")

(defun longllama-shown ()
  "The text on screen, or nil."
  (and longllama--ghost (overlay-get longllama--ghost 'longllama-text)))

(defun longllama-clear ()
  "Take the ghost text away."
  (when longllama--ghost
    (delete-overlay longllama--ghost)
    (setq longllama--ghost nil)))

(defun longllama--show (text &optional end id accepted)
  "Show TEXT behind point, in place of what is there up to END.
It is the rest of the suggestion ID, of which the text ACCEPTED was accepted."
  (longllama-clear)
  (setq longllama--ghost (make-overlay (point) (or end (point))))
  (overlay-put longllama--ghost 'longllama-text text)
  (overlay-put longllama--ghost 'longllama-id id)
  (overlay-put longllama--ghost 'longllama-accepted (or accepted ""))
  ;; The property keeps the cursor in front of the text.
  (let ((shown (propertize text 'face 'longllama-ghost 'cursor t)))
    (if (and end (> end (point)))
        (overlay-put longllama--ghost 'display shown) ; the text has what it hides as well
      (overlay-put longllama--ghost 'after-string shown))))

(defun longllama--items-of (answer)
  "Return the items of ANSWER as a list."
  (append (if (vectorp answer) answer (plist-get answer :items)) nil))

(defun longllama--show-item (items number)
  "Show one of ITEMS; a NUMBER beyond them begins anew."
  (let* ((number (mod number (length items)))
         (item (nth number items))
         (id (longllama--id-of item)))
    (longllama--show (plist-get item :insertText) (longllama--end-of item) id)
    (overlay-put longllama--ghost 'longllama-items items)
    (overlay-put longllama--ghost 'longllama-number number)
    (jsonrpc-notify (eglot-current-server) :longllama/didShowSuggestion (list :id id))))

(defun longllama--id-of (item)
  "The name that the server has for the suggestion of ITEM, or nil."
  (let ((arguments (plist-get (plist-get item :command) :arguments)))
    (and (> (length arguments) 0) (elt arguments 0))))

(defun longllama--tell-accepted (id number accepted is-whole)
  "Tell the server that ACCEPTED, a part of suggestion ID, was accepted.
NUMBER says which of its candidates that was, IS-WHOLE that it is all of
it.  It is counted on this machine alone."
  (when-let ((server (and id (eglot-current-server))))
    (if is-whole
        (longllama--run 'longllama.didAccept id number)
      (jsonrpc-notify server :longllama/didPartiallyAcceptSuggestion
                      (list :id id :acceptedLength (longllama--n-units accepted))))))

(defun longllama--n-units (text)
  "How many UTF-16 code units TEXT has."
  (/ (length (encode-coding-string text 'utf-16le)) 2))

(defun longllama--end-of (item)
  "Return where the text ends in whose place ITEM comes, or nil.
That is such as a bracket which the editor closed.  It is on the line of
point, and of characters that count as one."
  (when-let* ((range (plist-get item :range))
              (start (plist-get (plist-get range :start) :character))
              (end (plist-get (plist-get range :end) :character)))
    (min (line-end-position) (+ (point) (max 0 (- end start))))))

(defun longllama-suggest (&optional automatic number)
  "Ask for a suggestion at point; show it unless text has moved on by then.
AUTOMATIC says that typing asks, not the user.  NUMBER says which one is
shown if there are several, from 0."
  (interactive)
  (when-let ((server (eglot-current-server)))
    (eglot--signal-textDocument/didChange)
    (let ((buffer (current-buffer)) (place (longllama--place)))
      (jsonrpc-async-request
       server :textDocument/inlineCompletion
       (append (eglot--TextDocumentPositionParams)
               `(:context (:triggerKind ,(if automatic 2 1))))
       :deferred :textDocument/inlineCompletion
       ;; Without it, jsonrpc gives up after 10 s: less than the server takes on a busy machine.
       :timeout longllama-timeout
       :timeout-fn
       (lambda () (longllama--note buffer automatic (format "no answer in %s s" longllama-timeout)))
       :error-fn
       (lambda (failure) (longllama--note buffer automatic (plist-get failure :message)))
       :success-fn
       (lambda (answer) (longllama--take buffer place automatic answer (or number 0)))))))

(defun longllama--take (buffer place automatic answer number)
  "Show ANSWER in BUFFER, where nothing has moved on from PLACE.
AUTOMATIC and NUMBER are as for `longllama-suggest'."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (let ((items (longllama--items-of answer)))
        (cond ((not items) (longllama--ask-why buffer automatic))
              ((equal place (longllama--place))
               (setq longllama-problem nil)
               (longllama--show-item items number))
              (t (longllama--note buffer automatic "the text has moved on")))))))

(defun longllama--cycle (step)
  "Show the candidate STEP places on; typing asks for one, so ask for others first."
  (when-let ((ghost longllama--ghost))
    (let ((items (overlay-get ghost 'longllama-items)))
      (if (cdr items)
          (longllama--show-item items (+ step (overlay-get ghost 'longllama-number)))
        (longllama-suggest nil step)))))

(defun longllama-next ()
  "Show the next candidate."
  (interactive)
  (longllama--cycle 1))

(defun longllama-previous ()
  "Show the candidate before."
  (interactive)
  (longllama--cycle -1))

(defun longllama--ask-why (buffer automatic)
  "Note why the last answer, for BUFFER, was empty.
AUTOMATIC is as for `longllama-suggest'."
  (jsonrpc-async-request
   (eglot-current-server) :longllama/explain nil
   :error-fn #'ignore
   :success-fn
   (lambda (why)
     (longllama--note buffer automatic (or (plist-get why :reason) "an empty answer")))))

(defun longllama--note (buffer automatic problem)
  "Keep in BUFFER the PROBLEM of a request; say it too, unless AUTOMATIC."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer (setq longllama-problem problem))
    (unless automatic (message "longllama: %s" problem))))

(defun longllama--place ()
  "What must be as it was for an answer to fit."
  (list (point) (buffer-chars-modified-tick)))

(defun longllama--hidden ()
  "The text that the ghost text stands in place of."
  (buffer-substring-no-properties (overlay-start longllama--ghost) (overlay-end longllama--ghost)))

(defun longllama--taken (part hidden)
  "How many characters of HIDDEN are in PART, in their order."
  (let ((count 0))
    (dolist (char (append part nil) count)
      (when (and (< count (length hidden)) (eq char (aref hidden count)))
        (setq count (1+ count))))))

(defun longllama-accept ()
  "Insert the ghost text."
  (interactive)
  (longllama--accept-until "\\`\\(?:.\\|\n\\)*\\'"))

(defun longllama--accept-until (pattern)
  "Insert the ghost text up to the end of PATTERN; go on showing the rest."
  (when-let ((text (longllama-shown)))
    (let* ((end (if (string-match pattern text) (match-end 0) (length text)))
           (is-whole (= end (length text)))
           (part (substring text 0 end))
           (hidden (longllama--hidden))
           (id (overlay-get longllama--ghost 'longllama-id))
           (number (or (overlay-get longllama--ghost 'longllama-number) 0))
           (accepted (concat (overlay-get longllama--ghost 'longllama-accepted) part))
           (count (if is-whole (length hidden) (longllama--taken part hidden))))
      (longllama-clear)
      (delete-region (point) (+ (point) count))
      (insert part)
      (longllama--tell-accepted id number accepted is-whole)
      (unless is-whole
        (longllama--show (substring text end) (+ (point) (- (length hidden) count))
                         id accepted)
        (overlay-put longllama--ghost 'longllama-number number)))))

(defun longllama-accept-word ()
  "Insert the first word of the ghost text, and what stands before it."
  (interactive)
  (longllama--accept-until "\\`[^[:word:]_]*[[:word:]_]+"))

(defun longllama-accept-line ()
  "Insert the first line of the ghost text."
  (interactive)
  (longllama--accept-until "\\`\n*[^\n]+"))

(defun longllama--after-command ()
  "Take old ghost text away; after typing, ask anew once it rests."
  (unless (memq this-command '(longllama-accept-word longllama-accept-line
                               longllama-next longllama-previous))
    (longllama-clear))
  (when longllama--timer (cancel-timer longllama--timer))
  (setq longllama--timer
        (run-with-idle-timer longllama-idle-delay nil
                             (if (eq this-command 'self-insert-command)
                                 #'longllama--suggest-in
                               #'longllama--tell-cursor)
                             (current-buffer))))

(defun longllama--tell-cursor (buffer)
  "Tell the server where the cursor rests in BUFFER, for it to read ahead."
  (when-let ((server (and (eq buffer (current-buffer)) (eglot-current-server))))
    (jsonrpc-notify server :longllama/didMoveCursor (eglot--TextDocumentPositionParams))))

(defun longllama--suggest-in (buffer)
  "Ask for a suggestion in BUFFER, if it is still the current one."
  (when (eq buffer (current-buffer)) (longllama-suggest t)))

(defvar longllama-mode-map
  (let ((map (make-sparse-keymap)))
    ;; Bound while there is something to accept, and only then.
    (cl-loop for (key . command) in '(("TAB" . longllama-accept)
                                      ("M-f" . longllama-accept-word)
                                      ("C-e" . longllama-accept-line)
                                      ("M-n" . longllama-next)
                                      ("M-p" . longllama-previous))
             do (define-key map (kbd key)
                  `(menu-item "" ,command :filter ,(lambda (it) (and (longllama-shown) it)))))
    map)
  "Keys of `longllama-mode'.")

;;;###autoload
(define-minor-mode longllama-mode
  "Ghost text from longllama-lsp, where eglot runs it."
  :lighter (:eval (if longllama-snoozed (format " LL snoozed %s min" longllama-snoozed) " LL"))
  (if longllama-mode
      (add-hook 'post-command-hook #'longllama--after-command nil t)
    (remove-hook 'post-command-hook #'longllama--after-command t)
    (longllama-clear)))

(provide 'longllama)
;;; longllama.el ends here
